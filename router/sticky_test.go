package router

import (
	"testing"

	"mlproxy/config"
)

func TestKey(t *testing.T) {
	sources := map[string]config.KeySource{
		"H": {Kind: "header", Name: "x-user-id"}, "C": {Kind: "cookie", Name: "uid"},
		"J": {Kind: "json", Name: "user.id"}, "I": {Kind: "client_ip"},
	}
	f := func(order string, head fields, body, want string) {
		t.Helper()
		r := newRoute("r", &config.Route{})
		for _, s := range order {
			r.Config.Sticky = append(r.Config.Sticky, sources[string(s)])
		}
		if got := r.Key(head, []byte(body), []byte("192.0.2.1")); string(got) != want || want == "" && got != nil {
			t.Errorf("%s of %s and %s: %q; want %q", order, head, body, got, want)
		}
	}
	head := fields{"x-user-id": []byte("from-header"), "cookie": []byte("uid=from-cookie")}
	body := `{"user":{"id":"from-body"}}`
	f("HCJI", head, body, "from-header")
	f("CHJI", head, body, "from-cookie")
	f("JHCI", head, body, "from-body")
	f("IHCJ", head, body, "192.0.2.1")
	// Sources that say nothing.
	f("", head, body, "")
	f("HCJI", fields{}, "", "192.0.2.1")
	f("HCJ", fields{}, "", "")
	f("HC", fields{"x-user-id": []byte(""), "cookie": []byte("uid=; b=1")}, "", "")
	f("HC", fields{"x-user-id": []byte(""), "cookie": []byte("uid=u")}, "", "u")
	f("JI", fields{}, `{"user":{"id":""}}`, "192.0.2.1")
	f("JI", fields{}, `{"user":{"id":null}}`, "192.0.2.1")
	f("JI", fields{}, `{"user":{"id":"cut short`, "192.0.2.1")
	f("JI", fields{}, `{"user":{"id":1,"id":2}}`, "192.0.2.1")
	f("JI", fields{}, `not JSON`, "192.0.2.1")
	// What is written differently and means the same.
	f("J", fields{}, `{"user":{"id":42}}`, "42")
	f("J", fields{}, `{"user":{"id":"\u0034\u0032"}}`, "42")
}

func TestCookie(t *testing.T) {
	f := func(field, want string) {
		t.Helper()
		if got := cookie([]byte(field), "uid"); string(got) != want {
			t.Errorf("%q: %q; want %q", field, got, want)
		}
	}
	f("uid=1", "1")
	f("a=0; uid=1; b=2", "1")
	f("a=0;uid=1;b=2", "1")
	f(" uid = 1 ", "1")
	f(`uid="a b"`, "a b")
	f(`uid="`, `"`)
	f(`uid=""`, "")
	f("uid=a=b", "a=b")
	f("uid=1; uid=2", "1")
	f("UID=1", "")
	f("xuid=1; uidx=2", "")
	f("uid", "")
	f("", "")
	f(";;=;uid=1", "1")
}

func TestNeedsBody(t *testing.T) {
	f := func(want bool, kinds ...string) {
		t.Helper()
		r := newRoute("r", &config.Route{})
		for _, kind := range kinds {
			r.Config.Sticky = append(r.Config.Sticky, config.KeySource{Kind: kind})
		}
		if got := r.NeedsBody(); got != want {
			t.Errorf("%v: %t", kinds, got)
		}
	}
	f(false)
	f(false, "header", "cookie", "client_ip")
	f(true, "header", "json")
}
