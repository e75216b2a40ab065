package protocol

import (
	"encoding/binary"
	"math"
)

// tensor is one input or output of the Open Inference Protocol.
type tensor struct {
	name, datatype text
	kind           datatype
	shape          [maxRank]int
	rank           int
	size           int    // elements by its shape; -1 when the shape cannot be
	count          int    // elements in its data
	data           value  // in JSON, flat or nested; absent when raw is set
	raw            []byte // in the binary extension
	base64         bool   // its strings are base64
}

const (
	maxRank    = 8
	maxTensors = 64
)

// datatype is how one element is laid down, little-endian.
type datatype struct {
	width int // bytes; 0: a length of 4 bytes, then as many bytes; -1: unknown
	kind  byte
}

// Kinds of elements.
const (
	wholeNumber = 'i' // signed
	unsigned    = 'u' // and BOOL
	floating    = 'f'
	brain       = 'b' // BF16, the upper half of a FP32
	byteString  = 's'
)

// datatypeOf reads the names of the protocol, and Triton's BF16.
func datatypeOf(name text) datatype {
	switch string(name.raw) {
	case "BOOL", "UINT8":
		return datatype{1, unsigned}
	case "UINT16":
		return datatype{2, unsigned}
	case "UINT32":
		return datatype{4, unsigned}
	case "UINT64":
		return datatype{8, unsigned}
	case "INT8":
		return datatype{1, wholeNumber}
	case "INT16":
		return datatype{2, wholeNumber}
	case "INT32":
		return datatype{4, wholeNumber}
	case "INT64":
		return datatype{8, wholeNumber}
	case "FP16":
		return datatype{2, floating}
	case "BF16":
		return datatype{2, brain}
	case "FP32":
		return datatype{4, floating}
	case "FP64":
		return datatype{8, floating}
	case "BYTES", "STRING":
		return datatype{0, byteString}
	}
	return datatype{-1, 0}
}

// decode reads the element that b, of the datatype's width, holds.
func (d datatype) decode(b []byte) float64 {
	var bits uint64
	switch d.width {
	case 1:
		bits = uint64(b[0])
	case 2:
		bits = uint64(binary.LittleEndian.Uint16(b))
	case 4:
		bits = uint64(binary.LittleEndian.Uint32(b))
	case 8:
		bits = binary.LittleEndian.Uint64(b)
	}
	switch {
	case d.kind == unsigned:
		return float64(bits)
	case d.kind == wholeNumber:
		unused := 64 - 8*d.width
		return float64(int64(bits<<unused) >> unused)
	case d.kind == brain:
		return float64(math.Float32frombits(uint32(bits) << 16))
	case d.width == 2:
		return half(uint16(bits))
	case d.width == 4:
		return float64(math.Float32frombits(uint32(bits)))
	}
	return math.Float64frombits(bits)
}

// half reads IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction.
func half(bits uint16) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	var x float64
	switch exponent {
	case 0:
		x = math.Ldexp(fraction, -24)
	case 31:
		x = math.Inf(1)
		if fraction != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		return -x
	}
	return x
}

// tensors reads a list of inputs or outputs. Binary ones follow each other in rest, those that are not whole are left out.
func (f *Facts) tensors(list value, rest []byte, cut bool) []tensor {
	all := f.room.tensors[:0]
	for v := range list.elements {
		if v.kind() != object || v.partial() || len(all) == maxTensors {
			continue
		}
		t := describe(v)
		size, isBinary := v.member("parameters").member("binary_data_size").integer()
		if isBinary {
			if size < 0 || size > len(rest) {
				if !cut {
					f.Fault(BinaryShort)
				}
				break
			}
			t.raw, rest = rest[:size:size], rest[size:]
		} else {
			t.data = v.member("data")
		}
		if t.measure(f) {
			all = append(all, t)
		}
	}
	f.room.tensors = all
	return all
}

func describe(v value) tensor {
	t := tensor{name: v.member("name").quoted(), datatype: v.member("datatype").quoted(), size: 1}
	t.kind = datatypeOf(t.datatype)
	t.base64 = string(v.member("parameters").member("content_type").quoted().raw) == "base64"
	for dim := range v.member("shape").elements {
		n, ok := dim.integer()
		if !ok || n < 0 || t.rank == maxRank || n > 0 && t.size > maxDocument/n {
			t.size = -1
			break
		}
		t.shape[t.rank] = n
		t.rank++
		t.size *= n
	}
	return t
}

// measure counts the elements, and holds the shape against them.
func (t *tensor) measure(f *Facts) bool {
	switch {
	case t.raw == nil && t.data.kind() != absent:
		for i := t.data.i; i < t.data.node().next; i++ {
			if t.data.d.nodes[i].kind != array {
				t.count++
			}
		}
	case t.kind.width < 0 && t.raw != nil:
		f.Fault(DatatypeUnsupported)
		return false
	case t.kind.kind == byteString:
		for range t.strings {
			t.count++
		}
	case t.kind.width > 0:
		t.count = len(t.raw) / t.kind.width
	}
	if t.size != t.count {
		f.Fault(ShapeMismatch)
	}
	return true
}

// rows is how many rows there are: as many as the first dimension says, if the data bears it out.
func (t *tensor) rows() int {
	if t.rank == 0 || t.count == 0 {
		return min(t.count, 1)
	}
	if t.size == t.count {
		if t.isPicture() {
			return 1
		}
		return t.shape[0]
	}
	each := 1
	for _, n := range t.shape[1:t.rank] {
		each *= n
	}
	if t.size < 0 || each == 0 || t.count%each != 0 {
		return 1
	}
	return t.count / each
}

// strings are the elements of a binary tensor of BYTES that are whole.
func (t *tensor) strings(yield func([]byte) bool) {
	for rest := t.raw; len(rest) >= 4; {
		n := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) || !yield(rest[:n]) {
			return
		}
		rest = rest[n:]
	}
}

// element is one of a tensor.
type element struct {
	value          // in JSON; absent in binary
	x      float64 // binary: a number
	s      []byte  // binary: a string
	isText bool    // binary: s is set
}

// number is that of the element; NaN of all that is none.
func (e element) number() float64 {
	if e.kind() == absent && !e.isText {
		return e.x
	}
	if x, ok := e.value.number(); ok {
		return x
	}
	return math.NaN()
}

// elements are all of them, in the order of the rows.
func (t *tensor) elements(yield func(element) bool) {
	switch {
	case t.raw == nil:
		if t.data.kind() == absent {
			return
		}
		for i := t.data.i; i < t.data.node().next; i++ {
			if t.data.d.nodes[i].kind != array && !yield(element{value: value{t.data.d, i}}) {
				return
			}
		}
	case t.kind.kind == byteString:
		for s := range t.strings {
			if !yield(element{s: s, isText: true}) {
				return
			}
		}
	default:
		for b := t.raw; len(b) >= t.kind.width; b = b[t.kind.width:] {
			if !yield(element{x: t.kind.decode(b)}) {
				return
			}
		}
	}
}
