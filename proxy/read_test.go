package proxy

import (
	"testing"

	"mlproxy/config"
	"mlproxy/router"
	"mlproxy/upstream"
)

// Of a body of known length as much is waited for as somebody has to read, however slowly it comes.
func TestWanted(t *testing.T) {
	f := func(what string, length int64, route *config.Route, want, hoped int) {
		t.Helper()
		x := &exchange{}
		x.limits = &settings{maxRoutingBody: 1 << 20}
		x.route = &router.Route{Config: route}
		x.req.Framing, x.req.Length = upstream.ByLength, length
		if gotWant, gotHoped := x.wanted(); gotWant != want || gotHoped != hoped {
			t.Errorf("%s of %d bytes: %d wanted, %d hoped for; not %d and %d", what, length, gotWant, gotHoped, want, hoped)
		}
	}
	plain := &config.Route{}
	f("a body", 100, plain, 0, 100)
	f("a body", bufferAtMost+1, plain, 0, 0)
	keyed := &config.Route{Sticky: []config.KeySource{{Kind: "json"}}}
	f("a body with the key", 100, keyed, 1<<20, 100)
	f("a body with the key", bufferAtMost+1, keyed, 1<<20, 0)
	search := &config.Route{Feedback: true}
	f("a search", 100, search, 100, 100)
	f("a search", searchMost, search, searchMost, searchMost)
	f("no search", searchMost+1, search, 0, searchMost+1)
}
