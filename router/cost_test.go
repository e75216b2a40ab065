package router

import (
	"bytes"
	"fmt"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

// busyRoute has all that routing can cost: two versions, a shadow, every kind of key.
func busyRoute(t testing.TB) *Route {
	cfg := desired(map[string]*config.Route{"r": {
		Split:  config.Weights{"a": 95, "b": 5},
		Shadow: map[string]*config.Shadow{"s": {Sample: .1}},
		Sticky: []config.KeySource{
			{Kind: "header", Name: "x-user-id"}, {Kind: "cookie", Name: "uid"}, {Kind: "json", Name: "user.id"}, {Kind: "client_ip"},
		},
	}})
	cfg.Pools["a"] = pool("a", "http://127.0.0.1:9001", "http://127.0.0.1:9002", "http://127.0.0.1:9003")
	return compile(t, cfg).Routes()[0]
}

// models is a table of n routes by path, one in ten of them on a host of its own, and n routes by model on one path.
func models(t testing.TB, n int) *Table {
	matches := map[string]config.Match{"any": {Path: "/"}}
	for i := range n {
		m := config.Match{Path: fmt.Sprintf("/v2/models/model-%d/", i)}
		if i%10 == 0 {
			m.Hosts = []string{fmt.Sprintf("m%d.example.org", i)}
		}
		matches[fmt.Sprint("path-", i)] = m
		matches[fmt.Sprint("model-", i)] = config.Match{Path: "/v1/chat/completions", Model: fmt.Sprint("model-", i)}
	}
	return matching(t, matches)
}

func TestRoutingAllocatesNothing(t *testing.T) {
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(200, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	head := &fields{"x-user-id": []byte("user-1")}
	host, post, path, body := []byte("M0.Example.org:8080"), []byte("POST"), []byte("/v2/models/model-0/infer?x=1"), []byte(`{"x":[1,NaN],"user":{"id":17}}`)
	chat, model := []byte("/v1/chat/completions"), []byte("model-7")
	table, r := models(t, 100), busyRoute(t)
	p := r.Versions[0].Pool
	f("Match", func() {
		if m := table.Match(host, post, path, head); m.Route == nil || m.Route.Name != "path-0" {
			t.Error("no match")
		}
	})
	f("Model", func() {
		if m := table.Match(host, post, chat, head); m.Model(model) == nil {
			t.Error("no match")
		}
	})
	long := bytes.Repeat(post, 100)
	get := matching(t, map[string]config.Match{"get": {Methods: []string{"GET"}}})
	f("Match of a long method", func() { get.Match(host, long, path, head) })
	f("Key from a header", func() { r.Key(head, nil, nil) })
	cookies := &fields{"cookie": []byte(`a=b; uid="user-1"`)}
	f("Key from a cookie", func() { r.Key(cookies, nil, nil) })
	none := &fields{}
	f("Key from a body", func() { r.Key(none, body, host) })
	f("Choose by key", func() { r.Split.Choose(model) })
	f("Choose by rotation", func() { r.Split.Choose(nil) })
	f("Force", func() { r.Force([]byte("b")) })
	f("Hash", func() { r.Hash(model) })
	f("Pick", func() { p.Pick(1, nil) })
	f("Pick another", func() { p.Pick(1, p.Endpoints[0]) })
	f("Sample", func() { r.Shadows[0].Sample() })
	f("Budget", func() { r.Retries.Earn(); r.Retries.Spend() })
}

func BenchmarkDoesMatchStayFlatFrom10To1000Routes(b *testing.B) {
	head := &fields{}
	post := []byte("POST")
	for _, n := range []int{10, 100, 1000} {
		table := models(b, n)
		f := func(what, host, path, model string) {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				h, p, name := []byte(host), []byte(path), []byte(model)
				b.ReportAllocs()
				for b.Loop() {
					m := table.Match(h, post, p, head)
					if m.Model(name) == nil {
						b.Fatal("no match")
					}
				}
			})
		}
		f("path", "models.example.org:8080", fmt.Sprintf("/v2/models/model-%d/infer", n-1), "")
		f("host", "m0.example.org", "/v2/models/model-0/infer", "")
		f("model", "models.example.org", "/v1/chat/completions", fmt.Sprint("model-", n-1))
		f("nothing-but-the-root", "models.example.org", "/some/where/else/that/is/long/and/deep", "")
	}
}

func BenchmarkWhatDoesAChoiceByRotationCost(b *testing.B) {
	for _, n := range []int{2, 8} {
		s := split(b, equal(n))
		b.Run(fmt.Sprintf("one-goroutine/%d-pools", n), func(b *testing.B) {
			for b.Loop() {
				s.Choose(nil)
			}
		})
		b.Run(fmt.Sprintf("all-cores/%d-pools", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Choose(nil)
				}
			})
		})
	}
}

func equal(n int) config.Weights {
	w := config.Weights{}
	for i := range n {
		w[fmt.Sprint("p", i)] = 1
	}
	return w
}

func BenchmarkWhatDoesAChoiceByKeyCost(b *testing.B) {
	key := []byte("3f2b8c1e-9a4d-4c7f-8e21-5b6a7c8d9e0f")
	for _, n := range []int{1, 2, 8} {
		s := split(b, equal(n))
		b.Run(fmt.Sprintf("%d-pools", n), func(b *testing.B) {
			for b.Loop() {
				s.Choose(key)
			}
		})
	}
}

func BenchmarkWhatDoesAStickyKeyCost(b *testing.B) {
	r := busyRoute(b)
	f := func(what string, head *fields, body string) {
		b.Run(what, func(b *testing.B) {
			doc := []byte(body)
			for b.Loop() {
				r.Key(head, doc, nil)
			}
		})
	}
	f("header", &fields{"x-user-id": []byte("user-1")}, "")
	f("cookie", &fields{"cookie": []byte("theme=dark; session=0123456789abcdef; uid=user-1")}, "")
	f("json", &fields{}, `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}],"user":{"id":"user-1"}}`)
}

func BenchmarkWhatDoesAPickCost(b *testing.B) {
	for balance := range policies {
		for _, n := range []int{3, 64} {
			p := balanced(balance, endpoints(n, "192.0.2.1:1"))
			b.Run(fmt.Sprintf("%s/%d-endpoints", balance, n), func(b *testing.B) {
				for b.Loop() {
					p.Pick(1, nil)
				}
			})
		}
	}
}

func BenchmarkWhatDoesASampleCost(b *testing.B) {
	s := busyRoute(b).Shadows[0]
	for b.Loop() {
		s.Sample()
	}
}

func BenchmarkHowLongDoesCompilingTake(b *testing.B) {
	for _, n := range []int{10, 1000} {
		e, cfg := NewEstate(monitor.New()), models(b, n).Config()
		b.Run(fmt.Sprintf("%d-routes-again", len(cfg.Routes)), func(b *testing.B) {
			for b.Loop() {
				compileIn(b, cfg, e)
			}
		})
	}
}
