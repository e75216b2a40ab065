package proxy

import (
	"bytes"
	"net"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
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

// A shadow whose pool has no endpoint, as before a catalogue has answered, costs the copy and nothing else.
func TestCopiesForAnEmptyPool(t *testing.T) {
	model, front := listen(t), listen(t)
	go serveCanned(model, append([]byte(plainAnswer), bytes.Repeat([]byte("y"), 256)...))
	cfg := plainConfig(model.Addr().String(), &config.Route{
		Split: config.Weights{"stable": 1}, Shadow: map[string]*config.Shadow{"next": {Sample: 1, MaxInFlight: 1, MaxBody: 1 << 20, MaxBytes: 1 << 20}},
	})
	cfg.Pools["next"].Endpoints = nil
	registry := startProxy(t, cfg, front).Registry
	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &rig{client: client, buf: make([]byte, 4096)}
	r.exchange(t)
	r.exchange(t) // the first has been offered by now
	if n := counted(t, registry, "mlproxy_shadow_dropped_total"); n < 1 {
		t.Errorf("%v copies were dropped", n)
	}
}

// counted is the sum of a counter's series.
func counted(t *testing.T, registry *monitor.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
