package shadow

import "testing"

func TestRoundUp(t *testing.T) {
	f := func(n, want int) {
		t.Helper()
		if got := roundUp(n); got != want {
			t.Errorf("%d bytes get a buffer of %d, want %d", n, got, want)
		}
	}
	f(0, 1024)
	f(1024, 1024)
	f(1025, 1280)
	f(1280, 1280)
	f(1281, 1536)
	f(2048, 2048)
	f(2049, 2560)
	f(1<<20, 1<<20)
	f(1<<20+1, 5<<18)
	for n := 1; n < 1<<16; n += 7 {
		if got := roundUp(n); got < n || roundUp(got) != got || n > smallest && got > n+n/4+1 {
			t.Errorf("%d bytes get a buffer of %d", n, got)
		}
	}
}

func TestBuffersAreUsedAgainBySize(t *testing.T) {
	b := newBuffers()
	first := append(b.get(5000), "old"...)
	b.put(first)
	if again := b.get(5100); len(again) != 0 || cap(again) != cap(first) || &again[:1][0] != &first[0] {
		t.Error("a buffer of the same size was not used again, or not emptied")
	}
	if b.kept != 0 {
		t.Errorf("%d bytes are kept of a buffer in use", b.kept)
	}
	b.put(first)
	if small := b.get(100); cap(small) != smallest {
		t.Errorf("100 bytes got a buffer of %d", cap(small))
	}
}

func TestFreeBuffersAreBounded(t *testing.T) {
	b := newBuffers()
	const big = 1 << 20
	for range 3 * retained / big {
		b.put(make([]byte, 0, big))
	}
	if b.kept != retained || len(b.free[big]) != retained/big {
		t.Errorf("%d bytes in %d buffers are kept, want %d", b.kept, len(b.free[big]), retained)
	}
	b.put(make([]byte, 0, smallest)) // the traffic has changed
	if b.kept != smallest || len(b.free[big]) != 0 {
		t.Errorf("%d bytes are kept, want only the %d of the size in use", b.kept, smallest)
	}
	b.put(make([]byte, 0, 2*retained))
	if b.kept != smallest {
		t.Errorf("%d bytes are kept after a giant, want %d", b.kept, smallest)
	}
}
