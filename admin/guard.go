package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"mlproxy/config"
)

// guarded lets through what may be asked here. A web page that somebody looks at inside the network must neither read nor
// change anything, so the Host must be one of ours (a rebound DNS name is not) and an Origin must be the Host itself.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := s.guard(r); err != nil {
			p := problemOf(err)
			s.audit("admin request refused", r, p)
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="mlproxy"`)
			}
			p.write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) guard(r *http.Request) error {
	admin := s.admin()
	if !ours(r.Host, &admin) {
		return forbidden("the Host %q is not one of mlproxy's; add it to admin.allowed_hosts if it should be", r.Host)
	}
	for _, origin := range r.Header["Origin"] {
		if origin != "" && !sameHost(origin, r.Host) {
			return forbidden("requests of pages of %q are not taken; use mlproxy's own address", hostOf(origin))
		}
	}
	if admin.TokenFile == "" || !changes(r) && !private(r) {
		return nil
	}
	field := r.Header.Get("Authorization")
	if field == "" {
		return authorize(field, admin.TokenFile) // which is no guess
	}
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return s.attempts.try(from.Addr(), time.Now(), func() error { return authorize(field, admin.TokenFile) })
}

// private says whether a request is for profiles, which cost time, and show what the program is at, or for what clients and models said
// to each other.
func private(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/debug/") || strings.HasPrefix(r.URL.Path, "/api/v1/routes/") && strings.HasSuffix(r.URL.Path, "/shadow")
}

func forbidden(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusForbidden, Reason: "forbidden", Detail: fmt.Sprintf(format, args...)}
}

// changes says whether a request may change state.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// ours says whether a Host may be asked for: localhost, the listen address, what the config allows besides, and any IP
// address when listening on all of them (rebinding needs a name). HTTP/1.0 has no Host, and no browser speaks it.
func ours(host string, admin *config.Admin) bool {
	name := bare(host)
	listen, _, _ := net.SplitHostPort(admin.Listen)
	ip, err := netip.ParseAddr(name)
	isIP := err == nil
	switch {
	case host == "" || name == "localhost" || isIP && ip.IsLoopback():
		return true
	case name == strings.ToLower(listen):
		return true
	case isIP && everywhere(listen):
		return true
	}
	for _, allowed := range admin.AllowedHosts {
		if strings.EqualFold(allowed, host) || strings.EqualFold(allowed, name) {
			return true
		}
	}
	return false
}

// everywhere says whether a listen host stands for all addresses.
func everywhere(listen string) bool {
	ip, err := netip.ParseAddr(listen)
	return listen == "" || err == nil && ip.IsUnspecified()
}

// bare is a Host in lower case, without port and brackets.
func bare(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil && strings.Trim(port, "0123456789") == "" {
		host = name
	} else if inner, bracketed := strings.CutPrefix(host, "["); bracketed && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func sameHost(origin, host string) bool {
	return hostOf(origin) != "" && strings.EqualFold(hostOf(origin), host)
}

// hostOf is the host of an Origin, with its port; "" when it has none.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Host
}

// authorize compares the bearer token with the file's, in a time that tells nothing of either. The file is read each time:
// changes are rare, and a token replaced is a token in force.
func authorize(field, file string) error {
	token, err := readToken(file)
	if err != nil {
		return err
	}
	scheme, given, _ := strings.Cut(field, " ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return &Problem{
			Status: http.StatusUnauthorized, Reason: "unauthorized",
			Detail: "changes, profiles and what shadows answered need the token: Authorization: Bearer <content of admin.token_file>, or --token-file",
		}
	}
	return nil
}

// readToken reads a token file; an empty one is a fault, not an open door.
func readToken(file string) (string, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w; correct the path or its permissions", err)
	}
	token := strings.TrimSpace(string(src))
	if token == "" {
		return "", fmt.Errorf("token file %s is empty; write the token into it", file)
	}
	return token, nil
}
