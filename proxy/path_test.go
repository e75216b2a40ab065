package proxy

import "testing"

func TestPathsAsOthersReadThem(t *testing.T) {
	f := func(path, decoded, resolved string) {
		t.Helper()
		if got := string(appendDecoded(nil, []byte(path))); got != decoded {
			t.Errorf("%s decoded is %s, want %s", path, got, decoded)
		}
		if got := string(appendResolved([]byte("/before"), []byte(path))); got != "/before"+resolved {
			t.Errorf("%s resolved is %s, want %s", path, got, resolved)
		}
		if plainPath([]byte(path)) != (path == decoded && path == resolved) {
			t.Errorf("%s is plain: %v", path, plainPath([]byte(path)))
		}
	}
	f("/", "/", "/")
	f("/a", "/a", "/a")
	f("/a/", "/a/", "/a/")
	f("/a.b/c..", "/a.b/c..", "/a.b/c..")
	f("/a/../b", "/a/../b", "/b")
	f("/a/b/..", "/a/b/..", "/a/")
	f("/a/b/.", "/a/b/.", "/a/b/")
	f("/a/./b/", "/a/./b/", "/a/b/")
	f("/../../a", "/../../a", "/a")
	f("/..", "/..", "/")
	f("//a//b//", "//a//b//", "/a/b/")
	f(`/a\..\b`, `/a\..\b`, "/b")
	f("/a;v=1/b;", "/a;v=1/b;", "/a/b")
	f("/a/..;x/b", "/a/..;x/b", "/b")
	f("/%61%2F%2e%2E", "/a/..", "/%61%2F%2e%2E")
	f("/%zz%4%41%4", "/%zz%4A%4", "/%zz%4%41%4")
	f("/%252e", "/%2e", "/%252e")
}
