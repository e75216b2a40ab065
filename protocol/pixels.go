package protocol

import "math"

// pixels is the brightness of an image that came as numbers, as they are read one by one.
type pixels struct {
	height, width, channels int
	planar                  bool // all of one channel, then all of the next
	bytes                   bool // 0 to 255 by its datatype; else the numbers must tell
	n                       int
	sum, least, most        float64
}

// lumaWeights are those of red, green and blue (ITU-R BT.601).
var lumaWeights = [...]float64{0.299, 0.587, 0.114}

// pixelsOf takes dimensions for those of an image: height, width and 1 or 3 channels, or the channels first. Shapes too small to be
// one are none, so that a few columns of numbers do not pass for a picture.
func pixelsOf(a, b, c int, bytes bool) (p pixels, ok bool) {
	const small = 4
	switch {
	case (c == 1 || c == 3) && a >= small && b >= small:
		p = pixels{height: a, width: b, channels: c}
	case (a == 1 || a == 3) && b >= small && c >= small:
		p = pixels{height: b, width: c, channels: a, planar: true}
	default:
		return p, false
	}
	p.bytes = bytes
	p.least, p.most = math.Inf(1), math.Inf(-1)
	return p, true
}

// images takes a tensor for one image a row, if it has the shape of [rows, height, width, channels] or the like.
func (t *tensor) images(rows int) (p pixels, ok bool) {
	switch {
	case t.size != t.count || t.kind.kind == byteString:
		return p, false
	case t.rank == 4 && t.shape[0] == rows:
		return pixelsOf(t.shape[1], t.shape[2], t.shape[3], t.kind == oneByte)
	case t.isPicture():
		return pixelsOf(t.shape[0], t.shape[1], t.shape[2], true)
	}
	return p, false
}

// isPicture says that a tensor is one image of red, green and blue bytes, without a dimension for rows.
func (t *tensor) isPicture() bool {
	_, ok := pixelsOf(t.shape[0], t.shape[1], t.shape[2], true)
	return ok && t.rank == 3 && t.kind == oneByte && t.shape[2] == 3
}

var oneByte = datatype{1, unsigned}

func (p *pixels) add(x float64) {
	weight := 1.0
	if p.channels == 3 {
		channel := p.n % 3
		if p.planar {
			channel = min(p.n/(p.height*p.width), 2)
		}
		weight = lumaWeights[channel]
	}
	p.sum += weight * x
	p.least, p.most = min(p.least, x), max(p.most, x)
	p.n++
}

// image judges by their range what the numbers are: 0 to 255, or 0 to 1. If some are negative they were normalised, and their brightness
// is not known. It begins anew for the next image.
func (p *pixels) image() Image {
	i := Image{Width: p.width, Height: p.height}
	mean := p.sum / float64(p.height*p.width)
	switch {
	case p.n != p.height*p.width*p.channels, !(p.least >= 0 && p.most <= 255): // NaN is neither
	case p.bytes || p.most > 1:
		i.Brightness, i.Known = mean, true
	default:
		i.Brightness, i.Known = mean*255, true
	}
	p.n, p.sum, p.least, p.most = 0, 0, math.Inf(1), math.Inf(-1)
	return i
}

// imageIn looks at an image that stands as nested arrays of numbers: [[[r, g, b], ..], ..].
func (f *Facts) imageIn(v value) {
	rows, columns := v.element(0), v.element(0).element(0)
	if columns.kind() != array || columns.element(0).kind() != numeral {
		return
	}
	p, ok := pixelsOf(v.len(), rows.len(), columns.len(), false)
	if !ok {
		return
	}
	for i := v.i; i < v.node().next; i++ {
		if e := (value{v.d, i}); e.kind() != array {
			x, number := e.number()
			if !number {
				return
			}
			p.add(x)
		}
	}
	if p.n == p.height*p.width*p.channels {
		f.addImage(p.image())
	}
}
