package shadow

import "testing"

func TestSumIgnoresHowABodyIsCut(t *testing.T) {
	f := func(pieces ...string) (hash uint64, length int64) {
		var s Sum
		s.Reset()
		for _, p := range pieces {
			s.Add([]byte(p))
		}
		return s.Hash(), s.Len()
	}
	whole, n := f("an answer longer than one block of thirty-two bytes")
	if cut, m := f("an answer longer", "", " than one block of thirty-two byte", "s"); cut != whole || m != n {
		t.Errorf("cut to pieces %x %d, whole %x %d", cut, m, whole, n)
	}
	if other, _ := f("An answer longer than one block of thirty-two bytes"); other == whole {
		t.Error("another body has the same sum")
	}
	if empty, _ := f(); empty != 0xef46db3751d8e999 {
		t.Errorf("%x is not the xxHash64 of nothing", empty)
	}
}

func TestSumBeginsAnew(t *testing.T) {
	var s Sum
	s.Reset()
	s.Add([]byte("before"))
	s.Reset()
	if s.Hash() != 0xef46db3751d8e999 || s.Len() != 0 {
		t.Error("Reset kept something")
	}
}
