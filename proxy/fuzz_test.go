package proxy

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// The client is the other end of the connection, or what one of the trusted proxies says: never a trusted proxy itself, never what
// stands nowhere in the field.
func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "192.0.2.1, 10.0.0.1", "10.0.0.2, 10.0.0.1", "evil, 192.0.2.1,10.0.0.1 ", ",", "", "192.0.2.1:80", "[2001:db8::1]", "2001:db8::1, ::ffff:10.0.0.9", "unknown",
	} {
		f.Add(s, "", true)
		f.Add("10.0.0.1", s, false)
	}
	trusted := &settings{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, one, two string, believe bool) {
		raw := []byte("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: " + one + "\r\nX-Forwarded-For: " + two + "\r\n\r\n")
		x := &exchange{passage: passage{conn: &conn{address: []byte("10.9.9.9")}, limits: trusted, trusted: believe}}
		if n, bad := upstream.HeadEnd(raw, 0, answerLimits); bad != nil || n != len(raw) || x.req.ReadRequest(raw, answerLimits) != nil {
			return
		}
		got := string(x.clientAddress())
		if got == "10.9.9.9" {
			return
		}
		a, err := netip.ParseAddr(got)
		switch {
		case !believe:
			t.Errorf("%q, %q: %q is believed", one, two, got)
		case !strings.Contains(one+"\n"+two, got):
			t.Errorf("%q, %q: %q is made up", one, two, got)
		case err == nil && trusted.trusts(a.Unmap()):
			t.Errorf("%q, %q: the client is taken to be the proxy %q", one, two, got)
		}
	})
}

// An ID that is believed stands in a problem as it came, and the problem is JSON in printable ASCII.
func FuzzRequestID(f *testing.F) {
	for _, s := range []string{"0193563c-9a1b-7cc2-8f2e-52a5b1a30e11", `"}`, `\`, "<script>", "a b", "\x7f", "\u00e9", "", strings.Repeat("x", maxRequestID+1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if !believable([]byte(id)) {
			return
		}
		x := &exchange{}
		x.id.n = copy(x.id.buf[:], id)
		body := x.problem(statusOf[monitor.BadRequest], monitor.BadRequest, id)
		var p struct {
			ID     string `json:"request_id"`
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal(body, &p); err != nil || p.ID != id || p.Detail != id {
			t.Errorf("%q: %+v, %v in %s", id, p, err, body)
		}
	})
}

// What is searched for is what the standard library reads: of parameters of one name the last, and no value that cannot be unescaped. But a
// semicolon is a byte like any other (the WHATWG's URL standard, section 5.1), and names, as the page, are taken as they are written.
func FuzzSoughtInURL(f *testing.F) {
	for _, s := range []string{
		"q=red+shoes", "query=%C3%A9&page=2", "q=a&q=b&query=c", "q=%zz&q=ok&page=%31", "q=a;b&x;q=2", "%71=x&q+=1", "q", "q=&page", "&&=&q=a=b", "Q=x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, parameters string) {
		pairs := strings.Split(parameters, "&")
		for i, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			switch name {
			case "query":
				name = "q"
			case "page":
				value = url.QueryEscape(value)
			}
			pairs[i] = url.QueryEscape(name) + "=" + strings.ReplaceAll(value, ";", "%3B")
		}
		want, _ := url.ParseQuery(strings.Join(pairs, "&")) // but for the pairs with errors
		last := func(name string) string { return append([]string{""}, want[name]...)[len(want[name])] }
		query, page := soughtInURL([]byte(parameters))
		if string(query) != last("q") || (query != nil) != want.Has("q") || string(page) != last("page") {
			t.Errorf("%q: got %q and page %q, want %v", parameters, query, page, want)
		}
	})
}
