package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// check says what is wrong with a message, "" when nothing is.
type check struct {
	on    moment
	fault func(*message, *stage) string
}

// moment is what must have been read of a message before it can be checked.
type moment int

const (
	headChecks moment = iota
	bodyChecks
)

func (s *stage) hold(m *message, checks []check, on moment) {
	s.t.Helper()
	for _, c := range checks {
		if c.on != on {
			continue
		}
		if fault := c.fault(m, s); fault != "" {
			s.fail("%s\nin %q\n%s", fault, m.first, strings.Join(m.lines, "\n"))
		}
	}
}

// first holds the first line.
func first(want string) check {
	return check{headChecks, func(m *message, s *stage) string {
		if m.first != s.text(want) {
			return fmt.Sprintf("the first line is not %q", s.text(want))
		}
		return ""
	}}
}

// has asks for a field line, exactly as it stands, once.
func has(line string) check {
	return check{headChecks, func(m *message, s *stage) string {
		n := 0
		for _, l := range m.lines {
			if l == s.text(line) {
				n++
			}
		}
		if n != 1 {
			return fmt.Sprintf("%q is there %d times, not once", s.text(line), n)
		}
		return ""
	}}
}

// lacks asks that no field has one of these names.
func lacks(names ...string) check {
	return check{headChecks, func(m *message, _ *stage) string {
		for _, name := range names {
			if values := m.values(name); len(values) > 0 {
				return fmt.Sprintf("%s is there: %q", name, values)
			}
		}
		return ""
	}}
}

// value holds the value of the one field of a name.
func value(name, want string) check {
	return check{headChecks, func(m *message, _ *stage) string {
		if got := m.value(name); got != want {
			return fmt.Sprintf("%s is %s, not %s", name, got, want)
		}
		return ""
	}}
}

// matches holds the value of the one field of a name to a pattern.
func matches(name, pattern string) check {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return check{headChecks, func(m *message, _ *stage) string {
		if got := m.value(name); !re.MatchString(got) {
			return fmt.Sprintf("%s is %q, which does not match %s", name, got, pattern)
		}
		return ""
	}}
}

// inOrder asks for field lines exactly as they stand, in this order among all lines.
func inOrder(want ...string) check {
	return check{headChecks, func(m *message, _ *stage) string {
		left := want
		for _, l := range m.lines {
			if len(left) > 0 && l == left[0] {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			return fmt.Sprintf("the line %q is not there, or not in its place", left[0])
		}
		return ""
	}}
}

// framed asks how the body is delimited.
func framed(want framing) check {
	return check{headChecks, func(m *message, _ *stage) string {
		if m.framing != want {
			return fmt.Sprintf("the body is framed by %s, not %s", m.framing, want)
		}
		return ""
	}}
}

func bodyIs(want string) check {
	return check{bodyChecks, func(m *message, _ *stage) string {
		if string(m.body) != want {
			return fmt.Sprintf("the body is %.200q, not %.200q", m.body, want)
		}
		return ""
	}}
}

// says asks for a word in the body.
func says(word string) check {
	return check{bodyChecks, func(m *message, _ *stage) string {
		if !strings.Contains(string(m.body), word) {
			return fmt.Sprintf("the body %.500q does not say %q", m.body, word)
		}
		return ""
	}}
}

// trailers asks for exactly these trailer lines.
func trailers(want ...string) check {
	return check{bodyChecks, func(m *message, _ *stage) string {
		if !slices.Equal(m.trailer, want) {
			return fmt.Sprintf("the trailers are %q, not %q", m.trailer, want)
		}
		return ""
	}}
}

// problem asks for the form in which the proxy's own errors come: RFC 9457, and the reason of the documentation.
func problem(reason string) []check {
	return []check{
		value("Content-Type", "application/problem+json"),
		value("X-MLProxy-Error", reason),
		framed(length),
		lacks("Server", "Date"),
		{bodyChecks, func(m *message, _ *stage) string {
			var p struct {
				Status    int    `json:"status"`
				Title     string `json:"title"`
				Detail    string `json:"detail"`
				Reason    string `json:"reason"`
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal(m.body, &p); err != nil {
				return fmt.Sprintf("the problem %q is no JSON: %v", m.body, err)
			}
			if p.Status != m.status() || p.Title == "" || p.Detail == "" || p.Reason != reason || p.RequestID != m.value("X-Request-ID") {
				return fmt.Sprintf("the problem %s does not fit its answer", m.body)
			}
			return ""
		}},
	}
}

// mlproxyID is a UUIDv7 (RFC 9562, section 5.7).
const mlproxyID = `[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// ofOneHop are the fields that never pass a proxy (RFC 9110, section 7.6.1).
var ofOneHop = []string{"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Upgrade"}

// requestInvariants hold for every request that reaches a model server, whatever the client sent.
func requestInvariants(m *message) []check {
	return []check{
		lacks("Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Expect", "Trailer", "X-MLProxy-Shadow"),
		{headChecks, func(m *message, s *stage) string {
			if !s.upgrades && len(m.values("Connection"))+len(m.values("Upgrade")) > 0 {
				return "Connection or Upgrade is there"
			}
			return ""
		}},
		matches("Host", `[^ ]+`),
		matches("X-Request-ID", `.+`),
		matches("X-Forwarded-For", `(.+, )?127\.0\.0\.1`),
		{headChecks, func(m *message, _ *stage) string {
			via := m.values("Via")
			if len(via) == 0 || !regexp.MustCompile(`(^|, )1\.[01] mlproxy$`).MatchString(via[len(via)-1]) {
				return fmt.Sprintf("Via %q does not end in mlproxy", via)
			}
			return ""
		}},
	}
}

// answerInvariants hold for every answer that reaches a client.
func answerInvariants(m *message) []check {
	if m.status() == 101 {
		return []check{lacks("Content-Length", "Transfer-Encoding", "Keep-Alive"), value("Connection", "Upgrade"), matches("X-Request-ID", `.+`)}
	}
	checks := []check{lacks(ofOneHop...)}
	if m.status() < 200 {
		return append(checks, lacks("Content-Length", "Transfer-Encoding", "Connection"))
	}
	return append(checks, matches("X-Request-ID", `.+`), matches("Connection", `|close|keep-alive`))
}
