package control

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"mlproxy/config"
)

// A file that is believed says the same when it is written again; one byte of it changed is believed only if it says the same still.
func FuzzDecode(f *testing.F) {
	for _, said := range []Overrides{
		{},
		{Routes: map[string]config.Override{"iris": {Split: config.Weights{"stable": 1, "canary": 0.5}, Author: "ann", Reason: "\u2028", Time: time.Unix(1, 0).UTC()}}},
		{Drained: map[string]config.Override{"http://127.0.0.1:1": {Forced: true, Expires: time.Unix(2, 0).UTC()}}, Routes: map[string]config.Override{"s": {Active: "green"}}},
	} {
		src, err := encode(&said)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src, uint(len(src)/2), byte(1))
		f.Add(src[:len(src)/2], uint(0), byte(0))
	}
	f.Add([]byte(`{"version": 1, "checksum": "", "content": null}`), uint(3), byte(4))
	f.Fuzz(func(t *testing.T, src []byte, at uint, flip byte) {
		said, err := decode[Overrides](src)
		if err != nil {
			return
		}
		again, err := encode(&said)
		if err != nil {
			t.Fatalf("%q: what was believed cannot be written: %v", src, err)
		}
		if read, err := decode[Overrides](again); err != nil || !reflect.DeepEqual(normal(read), normal(said)) {
			t.Fatalf("%q: %+v becomes %+v, %v", src, said, read, err)
		}
		if len(src) == 0 {
			return
		}
		damaged := bytes.Clone(src)
		damaged[at%uint(len(src))] ^= flip
		if other, err := decode[Overrides](damaged); err == nil && !reflect.DeepEqual(other, said) {
			t.Fatalf("%q is believed, and says %+v in place of %+v", damaged, other, said)
		}
	})
}

// normal makes empty and absent the same, as JSON does.
func normal(o Overrides) Overrides {
	if len(o.Routes) == 0 {
		o.Routes = nil
	}
	if len(o.Drained) == 0 {
		o.Drained = nil
	}
	for _, m := range []map[string]config.Override{o.Routes, o.Drained} {
		for name, v := range m {
			if len(v.Split) == 0 {
				v.Split = nil
			}
			m[name] = v
		}
	}
	return o
}
