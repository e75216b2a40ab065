package protocol

import "strconv"

// room is the memory that adapters work in. It belongs to the facts, so that it is used again for the next message.
type room struct {
	doc     document
	names   interned
	table   table
	spare   Output // of rows beyond MaxRows
	query   []byte
	floats  []float64
	tensors []tensor
	blob    []byte // undone base64
	talk    talk   // of a whole answer

	inflated inflatedBodies
	undone   Message // with its encoding undone
}

// trim lets go of what one large body needed.
func (r *room) trim() {
	const ordinary, ordinaryNodes = 4 << 20, 1 << 18
	if cap(r.doc.nodes) > ordinaryNodes {
		r.doc.nodes = nil
	}
	if cap(r.inflated.from)+cap(r.inflated.to)+cap(r.blob) > ordinary {
		r.inflated, r.blob = inflatedBodies{}, nil
	}
}

// interned are names that were seen before, so that the same class need not be a new string for every row. There are at most
// maxInterned of them; a client that makes up names costs one allocation a name.
type interned map[string]string

const maxInterned = 1024

// intern is the string of b, cut to maxName bytes.
func (n *interned) intern(b []byte) string {
	b = b[:min(len(b), maxName)]
	if s, known := (*n)[string(b)]; known {
		return s
	}
	if *n == nil || len(*n) == maxInterned {
		*n = make(interned)
	}
	s := string(b)
	(*n)[s] = s
	return s
}

// index is the name of a class that has none but its place.
func (n *interned) index(i int) string {
	var digits [20]byte
	return n.intern(strconv.AppendInt(digits[:0], int64(i), 10))
}

// name is a string, number or truth as a name.
func (f *Facts) name(v value) string { return f.room.names.intern(v.scalar()) }
