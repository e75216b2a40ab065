package conformance

import "testing"

// Paths go on byte by byte (RFC 9110, section 7.7). One that a model server may read as another route's is refused.
func TestPaths(t *testing.T) {
	var cases []request
	f := func(want string, paths ...string) {
		for _, path := range paths {
			c := request{name: path, rfc: "RFC 9110 7.7", send: "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n", want: want}
			if want == "200" {
				c.got = []check{first("GET " + path + " HTTP/1.1")}
			} else {
				c.rfc = "RFC 9110 17.4"
			}
			cases = append(cases, c)
		}
	}
	f("200", "/~a/../b", "/~a/./b/.", "/~a/..", "/~.", "/~a//b", "/~/a", "/~a;v=1/b;", "/~%7Euser", "/~a%2Fb", "/~a%2fb%5cc", "/~%2e/a", "/~a/%2e%2e/b",
		"/~%zz%", "/~%20%C3%BC", "/~%252e%252e/", "/~...", "/~.a/..b", "/~.well-known/x", "/~a:predict", "/~a?/../../x%00", "/~%0d%0a", `/~a\b`, "/~a/..;/b", "/~../~")
	f("400", "/~..", "/~../", "/~../nowhere", "/~a/../../nowhere", "/~./../nowhere", "/~%2e%2e/nowhere", "/~.%2E/nowhere", "/~..%2fnowhere", "/~%2e%2e%2Fnowhere",
		"/~..;/nowhere", "/~..;v=1/nowhere", `/~..\nowhere`, "/~..%5cnowhere", "/~a/..//../nowhere", "/~../nowhere/%2e%2e/~", "/~a%00", "/~%00")
	f("404", "/nowhere/../~", "/nowhere/..%2f/~", "/%2e/~")
	for i := range cases {
		cases[i].keeps = cases[i].want == "404"
	}
	requests(t, world{}, cases)
}
