package differential

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// The reference reader takes RFC 9112 by its grammar and uses none of its leave to be lenient: what it accepts can be read in one way
// only. It works on text that is there already, and is slow. Where it is wider than the grammar a comment says so; there are two
// such places, and neither can move the end of a message.

// message is a request or an answer.
type message struct {
	method, target string // a request's
	status         int    // an answer's
	interim        []int  // the statuses of the interim answers before it
	minor          int    // of HTTP/1.
	fields         []field
	body           string
	trailer        []field
	last           bool // no message follows on its connection
}

type field struct{ name, value string } // the value without the white space around it

// errShort says that what is there is the beginning of a message.
var errShort = errors.New("the message is not complete")

// malformed says why text is not, and cannot become, a message.
type malformed string

func (m malformed) Error() string { return string(m) }

func bad(format string, args ...any) error { return malformed(fmt.Sprintf(format, args...)) }

// input is the text of one direction of a connection, as far as it was not read.
type input struct {
	left  string
	ended bool // nothing will be added: the sender has closed
}

// request reads a request. io.EOF says that nothing is there.
func (in *input) request() (*message, error) {
	for strings.HasPrefix(in.left, "\r\n") { // section 2.2: empty lines before a request are ignored
		in.left = in.left[2:]
	}
	if in.left == "" {
		return nil, io.EOF
	}
	m := &message{}
	first, err := in.head(m)
	if err != nil {
		return nil, err
	}
	if err := m.requestLine(first); err != nil {
		return nil, err
	}
	if _, _, err := m.destination(); err != nil {
		return nil, err
	}
	size, err := m.framing(none)
	if err != nil {
		return nil, err
	}
	return m, in.body(m, size)
}

// answer reads an answer to a request with that method, the interim ones before it included.
func (in *input) answer(method string) (*message, error) {
	var interim []int
	for {
		m := &message{interim: interim}
		first, err := in.head(m)
		if err != nil {
			return nil, err
		}
		if err := m.statusLine(first); err != nil {
			return nil, err
		}
		size, err := m.framing(untilClose)
		if err != nil {
			return nil, err
		}
		if m.status == 101 {
			return nil, bad("101, which nobody asked for")
		}
		if method == "HEAD" || m.status < 200 || m.status == 204 || m.status == 304 { // section 6.3, rule 1
			size = none
		}
		if m.status >= 200 {
			m.last = m.last || size == untilClose
			return m, in.body(m, size)
		}
		interim = append(interim, m.status)
	}
}

// head takes a head (section 2.1), and returns its first line.
func (in *input) head(m *message) (string, error) {
	head, rest, complete := strings.Cut(in.left, "\r\n\r\n")
	if !complete {
		return "", errShort
	}
	in.left = rest
	lines := strings.Split(head, "\r\n")
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n") {
			return "", bad("a bare CR or LF in %q", line)
		}
	}
	var err error
	m.fields, err = fields(lines[1:])
	return lines[0], err
}

// fields reads field lines (section 5). A folded one begins with white space, which is no token.
func fields(lines []string) (all []field, err error) {
	for _, line := range lines {
		name, value, colon := strings.Cut(line, ":")
		if !colon || !token(name) {
			return nil, bad("%q is no field line", line)
		}
		for _, c := range []byte(value) {
			if c < ' ' && c != '\t' || c == 0x7f {
				return nil, bad("a control byte in %q", line)
			}
		}
		all = append(all, field{name, strings.Trim(value, " \t")})
	}
	return all, nil
}

// token is that of RFC 9110, section 5.6.2.
func token(s string) bool {
	for _, c := range []byte(s) {
		if !alphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// requestLine reads method SP request-target SP HTTP-version (section 3). Of a target any visible ASCII is taken but "#", as many
// clients leave brackets and quotes as they are.
func (m *message) requestLine(line string) error {
	words := strings.Split(line, " ")
	if len(words) != 3 || !token(words[0]) || words[1] == "" {
		return bad("%q is no request line", line)
	}
	for _, c := range []byte(words[1]) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return bad("byte %#x in the target", c)
		}
	}
	m.method, m.target = words[0], words[1]
	return m.version(words[2])
}

// statusLine reads HTTP-version SP status-code SP [reason-phrase] (section 4). The second space may be missing together with the phrase.
func (m *message) statusLine(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, phrase, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || n < 100 {
		return bad("%q is no status line", line)
	}
	for _, c := range []byte(phrase) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return bad("a control byte in %q", line)
		}
	}
	m.status = int(n)
	return m.version(version)
}

func (m *message) version(v string) error {
	if v != "HTTP/1.0" && v != "HTTP/1.1" {
		return bad("version %q", v)
	}
	m.minor = int(v[7] - '0')
	options := strings.ToLower(strings.Join(m.values("Connection"), ","))
	keep := false
	for option := range strings.SplitSeq(options, ",") {
		m.last = m.last || strings.Trim(option, " \t") == "close"
		keep = keep || strings.Trim(option, " \t") == "keep-alive"
	}
	m.last = m.last || m.minor == 0 && !keep // section 9.3
	return nil
}

// values are those of all fields of a name.
func (m *message) values(name string) (all []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f.value)
		}
	}
	return all
}

// destination is where a request leads: a target in origin or asterisk form, and a host (section 3.2 and 3.3). CONNECT is refused: what
// follows it is not HTTP.
func (m *message) destination() (target, host string, err error) {
	hosts := m.values("Host")
	if len(hosts) > 1 || len(hosts) == 0 && m.minor == 1 {
		return "", "", bad("%d Host fields", len(hosts))
	}
	if len(hosts) == 1 {
		host = hosts[0]
		if err := authority(host); err != nil && host != "" {
			return "", "", err
		}
	}
	const scheme = "http://"
	switch {
	case m.method == "CONNECT":
		return "", "", bad("CONNECT")
	case m.target[0] == '/', m.target == "*" && m.method == "OPTIONS":
		return m.target, host, nil
	case len(m.target) < len(scheme) || !strings.EqualFold(m.target[:len(scheme)], scheme):
		return "", "", bad("target %q", m.target)
	}
	target = m.target[len(scheme):]
	end := strings.IndexAny(target, "/?")
	if end < 0 {
		end = len(target)
	}
	host, target = target[:end], target[end:]
	switch {
	case target == "" && m.method == "OPTIONS":
		target = "*" // section 3.2.4
	case target == "" || target[0] == '?':
		target = "/" + target
	}
	return target, host, authority(host)
}

// authority reads uri-host [ ":" port ] (RFC 3986, section 3.2.2), of IP literals those in use.
func authority(s string) error {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.Contains(s[i:], "]") {
		name, port = s[:i], s[i+1:]
	}
	if strings.Trim(port, "0123456789") != "" {
		return bad("port %q", port)
	}
	if literal, bracketed := strings.CutPrefix(name, "["); bracketed {
		a, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(literal, "]") {
			return bad("host %q", s)
		}
		return nil
	}
	_, err := url.PathUnescape(name) // every % is followed by two hexadecimal digits
	for _, c := range []byte(name) {
		if !alphanumeric(c) && strings.IndexByte("-._~!$&'()*+,;=%", c) < 0 {
			err = bad("byte %#x", c)
		}
	}
	if name == "" || err != nil {
		return bad("host %q", s)
	}
	return nil
}

// Sizes of bodies that are no number of bytes.
const (
	none       = 0
	chunked    = -1
	untilClose = -2
)

// framing is the size of the body (section 6.3); otherwise is what it is when the head does not say.
func (m *message) framing(otherwise int64) (int64, error) {
	lengths, codings := m.values("Content-Length"), m.values("Transfer-Encoding")
	switch {
	case len(codings) == 1 && len(lengths) == 0 && m.minor == 1 && strings.EqualFold(codings[0], "chunked"):
		return chunked, nil
	case len(codings) > 0:
		return 0, bad("transfer codings %q beside lengths %q in HTTP/1.%d", codings, lengths, m.minor)
	case len(lengths) == 0:
		return otherwise, nil
	case len(lengths) > 1 || strings.Trim(lengths[0], "0123456789") != "":
		return 0, bad("lengths %q", lengths)
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return 0, bad("length %q", lengths[0])
	}
	return int64(n), nil
}

// body reads the body.
func (in *input) body(m *message, size int64) error {
	switch {
	case size == chunked:
		return in.chunks(m)
	case size == untilClose:
		m.body, in.left = in.left, ""
		if !in.ended {
			return errShort
		}
		return nil
	case int64(len(in.left)) < size:
		m.body, in.left = in.left, ""
		return errShort
	}
	m.body, in.left = in.left[:size], in.left[size:]
	return nil
}

// chunks reads a chunked body (section 7.1).
func (in *input) chunks(m *message) error {
	for {
		line, err := in.line()
		if err != nil {
			return err
		}
		size, err := chunkSize(line)
		if err != nil {
			return err
		}
		if size == 0 {
			return in.trailers(m)
		}
		if n := min(size, uint64(len(in.left))); true {
			m.body, in.left = m.body+in.left[:n], in.left[n:]
			if n < size || len(in.left) < 2 && strings.HasPrefix("\r\n", in.left) {
				return errShort
			}
		}
		if !strings.HasPrefix(in.left, "\r\n") {
			return bad("a chunk of %d bytes is followed by %.2q", size, in.left)
		}
		in.left = in.left[2:]
	}
}

// chunkSize reads chunk-size [ chunk-ext ]. Of the extensions, which say nothing here, only the quotes must be right; bad white
// space before them is not taken. How many digits are read is left to the recipient; here it is what fits into 64 bits with a sign.
func chunkSize(line string) (uint64, error) {
	extension := strings.TrimLeft(line, "0123456789abcdefABCDEF")
	digits := line[:len(line)-len(extension)]
	n, err := strconv.ParseUint(digits, 16, 62)
	if err != nil || len(digits) > 15 {
		return 0, bad("chunk size %q", line)
	}
	quoted := false
	for i := 0; i < len(extension); i++ {
		switch c := extension[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return 0, bad("a control byte in %q", line)
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		}
	}
	if extension != "" && extension[0] != ';' || quoted {
		return 0, bad("chunk extension %q", line)
	}
	return n, nil
}

func (in *input) trailers(m *message) error {
	var lines []string
	for {
		line, err := in.line()
		if err != nil {
			return err
		}
		if line == "" {
			m.trailer, err = fields(lines)
			return err
		}
		lines = append(lines, line)
	}
}

// line takes what is before the next CRLF.
func (in *input) line() (string, error) {
	line, rest, complete := strings.Cut(in.left, "\r\n")
	if i := strings.IndexAny(line, "\r\n"); i >= 0 && (complete || i < len(line)-1 || line[i] == '\n') {
		return "", bad("a bare CR or LF in %q", line)
	}
	if !complete {
		return "", errShort
	}
	in.left = rest
	return line, nil
}
