package router

import (
	"net/http"
	"strings"
	"testing"
)

// A cookie is a part of its field between two semicolons, and where the standard library takes the whole field it is the same, but for
// the white space around a value, which is no part of it (RFC 6265, section 4.1.1), and may be within quotes.
func FuzzCookie(f *testing.F) {
	for _, s := range []string{"uid=u1", "a=b; uid=u1; uid=u2", `uid="u1"`, `uid="`, "uid=", "uid", " uid = u1 ", "xuid=1;uid=2", ";;=;", "UID=1", "uid=a=b", "\xff=\x00"} {
		f.Add(s, "uid")
	}
	f.Fuzz(func(t *testing.T, field, name string) {
		got := cookie([]byte(field), name)
		if !strings.Contains(field, string(got)) || strings.Contains(string(got), ";") {
			t.Fatalf("%q of %q is %q", name, field, got)
		}
		all, err := http.ParseCookie(field)
		if err != nil {
			return
		}
		for _, c := range all {
			if c.Name == name {
				if strings.TrimSpace(c.Value) != strings.TrimSpace(string(got)) {
					t.Fatalf("%q of %q is %q; net/http reads %q", name, field, got, c.Value)
				}
				return
			}
		}
		if got != nil && len(all) == strings.Count(field, ";")+1 && name != "" {
			t.Fatalf("%q of %q is %q; net/http finds none", name, field, got)
		}
	})
}
