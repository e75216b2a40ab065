package protocol

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	_ "image/gif"  // decodes
	_ "image/jpeg" // decodes
	_ "image/png"  // decodes
	"math"

	_ "golang.org/x/image/webp" // decodes
)

// Bounds of what is decoded. A few hundred bytes may claim any number of pixels; the header says how many before any is decoded.
const (
	maxImageBytes  = 32 << 20 // that one image takes, decoded
	maxImagePixels = 16 << 20 // in all images of one message
	maxScans       = 64       // of a progressive JPEG: each goes over all of the image again, though it may take but 20 bytes
)

var (
	errImageTooLarge = errors.New("more pixels than are decoded")
	errNoImage       = errors.New("not a PNG, JPEG, GIF or WebP that can be decoded")
)

// samples is how many pixels along each side are looked at, evenly spread; of smaller images all are.
const samples = 512

// image looks at an encoded image. Of one that is too large only the size is known.
func (f *Facts) image(encoded []byte) {
	i, err := measure(encoded, maxImagePixels-f.pixels)
	switch {
	case errors.Is(err, errImageTooLarge):
		f.Fault(ImageTooLarge)
	case err != nil:
		f.Fault(ImageUnreadable)
		return
	default:
		f.pixels += i.Width * i.Height
	}
	f.addImage(i)
}

func (f *Facts) addImage(i Image) {
	if len(f.Images) < MaxRows {
		f.Images = append(f.Images, i)
	}
}

// measure finds out the size and brightness of a PNG, JPEG, GIF (its first picture) or WebP, if it has at most so many pixels. The size is
// right with [errImageTooLarge] too. Transparency is not seen: a pixel counts by the colour it has, however little of it shows.
func measure(encoded []byte, pixels int) (i Image, err error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(encoded))
	if err != nil || config.Width <= 0 || config.Height <= 0 {
		return Image{}, errNoImage
	}
	i.Width, i.Height = config.Width, config.Height
	size := i.Width * i.Height // of sides below 1<<32 each
	progressive := format == "jpeg" && bytes.Contains(encoded, []byte("\xff\xc2"))
	if size > pixels || size > maxImageBytes/bytesOf(config.ColorModel, progressive) {
		return i, errImageTooLarge
	}
	if progressive && bytes.Count(encoded, []byte("\xff\xda")) > maxScans {
		return i, errImageTooLarge
	}
	decoded, _, err := image.Decode(bytes.NewReader(encoded))
	if err != nil || decoded.Bounds().Empty() {
		return Image{}, errNoImage
	}
	i.Brightness, i.Known = luma(decoded, format == "webp"), true
	return i, nil
}

// bytesOf is how much memory the decoder takes for a pixel. A progressive JPEG is held as coefficients of 4 bytes besides.
func bytesOf(m color.Model, progressive bool) int {
	switch m {
	case color.GrayModel, color.Gray16Model:
		if progressive {
			return 5
		}
		return 2
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.YCbCrModel, color.NYCbCrAModel, color.CMYKModel:
		if progressive {
			return 20
		}
		return 4
	}
	if _, ok := m.(color.Palette); ok {
		return 1
	}
	return 4
}

// luma is the mean of 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), 0..255. Video range says that Y of YCbCr goes from 16 to 235, as in
// WebP (RFC 6386, section 9.2); in JPEG it goes from 0 to 255 (JFIF).
func luma(decoded image.Image, videoRange bool) float64 {
	at := lumaOf(decoded)
	b := decoded.Bounds()
	across, down := stride(b.Dx()), stride(b.Dy())
	sum, n := 0.0, 0
	for y := b.Min.Y; y < b.Max.Y; y += down {
		for x := b.Min.X; x < b.Max.X; x += across {
			sum += at(x, y)
			n++
		}
	}
	mean := sum / float64(n)
	if _, ycc := plane(decoded); ycc && videoRange {
		mean = (mean - 16) * 255 / 219
	}
	return math.Max(0, math.Min(255, mean))
}

// stride is the distance between two pixels that are looked at.
func stride(side int) int { return max(1, side/samples) }

// plane is the brightness of an image that has it apart from its colour.
func plane(decoded image.Image) (*image.YCbCr, bool) {
	switch m := decoded.(type) {
	case *image.YCbCr:
		return m, true
	case *image.NYCbCrA:
		return &m.YCbCr, true
	}
	return nil, false
}

// lumaOf reads the luma of a pixel, by the way the image is stored. No colour is converted that need not be.
func lumaOf(decoded image.Image) func(x, y int) float64 {
	if m, ok := plane(decoded); ok {
		return func(x, y int) float64 { return float64(m.Y[m.YOffset(x, y)]) }
	}
	switch m := decoded.(type) {
	case *image.Gray:
		return func(x, y int) float64 { return float64(m.Pix[m.PixOffset(x, y)]) }
	case *image.Gray16:
		return func(x, y int) float64 {
			i := m.PixOffset(x, y)
			return float64(uint16(m.Pix[i])<<8|uint16(m.Pix[i+1])) / 257
		}
	case *image.RGBA:
		return func(x, y int) float64 { return rgb8(m.Pix[m.PixOffset(x, y):]) }
	case *image.NRGBA:
		return func(x, y int) float64 { return rgb8(m.Pix[m.PixOffset(x, y):]) }
	case *image.RGBA64:
		return func(x, y int) float64 { return rgb16(m.Pix[m.PixOffset(x, y):]) }
	case *image.NRGBA64:
		return func(x, y int) float64 { return rgb16(m.Pix[m.PixOffset(x, y):]) }
	case *image.Paletted:
		return paletted(m)
	}
	return func(x, y int) float64 { return lumaOfColor(decoded.At(x, y)) }
}

func rgb8(p []byte) float64 {
	return weigh(float64(p[0]), float64(p[1]), float64(p[2]))
}

// rgb16 reads 16 bits a colour, the high byte first.
func rgb16(p []byte) float64 {
	return weigh(float64(uint16(p[0])<<8|uint16(p[1])), float64(uint16(p[2])<<8|uint16(p[3])), float64(uint16(p[4])<<8|uint16(p[5]))) / 257
}

func weigh(r, g, b float64) float64 { return 0.299*r + 0.587*g + 0.114*b }

func paletted(m *image.Paletted) func(x, y int) float64 {
	var lumas [256]float64 // an index beyond the palette is black
	for i, c := range m.Palette {
		lumas[i&0xff] = lumaOfColor(c)
	}
	return func(x, y int) float64 { return lumas[m.Pix[m.PixOffset(x, y)]] }
}

func lumaOfColor(c color.Color) float64 {
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	return weigh(float64(n.R), float64(n.G), float64(n.B)) / 257
}
