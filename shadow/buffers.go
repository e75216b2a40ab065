package shadow

import (
	"math/bits"
	"sync"
)

const (
	smallest = 1 << 10 // bytes of the smallest buffer
	retained = 4 << 20 // bytes of free buffers that are kept; beyond it the garbage collector has them
)

// buffers hold copies. Free ones are kept by size, in steps of a quarter, and only one of the right size is used again:
// a small copy in a large buffer would hold more memory than max_bytes is told of. A sync.Pool would neither bound what
// is kept nor tell sizes apart.
type buffers struct {
	mu   sync.Mutex
	free map[int][][]byte // by capacity
	kept int              // bytes of free; <= retained
}

func newBuffers() buffers { return buffers{free: map[int][][]byte{}} }

// get is an empty buffer with room for n bytes.
func (b *buffers) get(n int) []byte {
	size := roundUp(n)
	if buffer := b.reuse(size); buffer != nil {
		return buffer
	}
	return make([]byte, 0, size)
}

func (b *buffers) reuse(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.free[size]
	last := len(free) - 1
	if last < 0 {
		return nil
	}
	buffer := free[last]
	free[last] = nil
	b.free[size] = free[:last]
	b.kept -= size
	return buffer
}

// put takes a buffer of get back; it must not be used any more. When there is no room and none of its size, the others
// are from requests of another time and make room.
func (b *buffers) put(buffer []byte) {
	size := cap(buffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept+size > retained {
		if size > retained || len(b.free[size]) > 0 {
			return
		}
		clear(b.free)
		b.kept = 0
	}
	b.kept += size
	b.free[size] = append(b.free[size], buffer[:0])
}

// giveBack is put for a buffer that may not be there.
func (b *buffers) giveBack(buffer []byte) {
	if cap(buffer) > 0 {
		b.put(buffer)
	}
}

// roundUp is the size of the buffer for n bytes: at most a quarter more.
func roundUp(n int) int {
	if n <= smallest {
		return smallest
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return (n + step - 1) &^ (step - 1)
}
