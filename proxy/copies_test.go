package proxy

import (
	"bytes"
	"testing"
)

// The room of a copy follows what has come, whatever is claimed, and is no larger than the whole when all has come.
func TestCopiesKeepWhatComes(t *testing.T) {
	f := func(claimed, pieces, most int) {
		t.Helper()
		c := copies{length: claimed}
		want := make([]byte, 0, 100*pieces)
		for i := range pieces {
			piece := bytes.Repeat([]byte{byte(i)}, 100)
			c.keep(piece)
			want = append(want, piece...)
			if cap(c.body) > 2*len(want) {
				t.Errorf("%d claimed: room for %d after %d bytes", claimed, cap(c.body), len(want))
			}
		}
		if !bytes.Equal(c.body, want) || cap(c.body) > most {
			t.Errorf("%d claimed: %d bytes of %d, room for %d, want at most %d", claimed, len(c.body), len(want), cap(c.body), most)
		}
	}
	f(700, 7, 700)
	f(0, 7, 1400)   // not known
	f(1e9, 7, 1400) // claimed
	f(100, 1, 100)
}
