package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long anything is waited for. Machines have been seen to stand still for seven seconds.
const patience = 20 * time.Second

// peer is one end of a raw connection: the client's, or the model server's.
type peer struct {
	net.Conn
	in []byte // came, and was not used yet
}

// errEarly says that a message began and did not come to its end.
var errEarly = errors.New("the message ended early")

// more waits for more bytes; io.EOF and resets come as they are.
func (p *peer) more() error {
	_ = p.SetReadDeadline(time.Now().Add(patience))
	return p.read()
}

func (p *peer) read() error {
	if cap(p.in)-len(p.in) < 4<<10 {
		p.in = slices.Grow(p.in, 32<<10)
	}
	n, err := p.Read(p.in[len(p.in):cap(p.in)])
	p.in = p.in[:len(p.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// need waits until n bytes are there.
func (p *peer) need(n int) error {
	for len(p.in) < n {
		if err := p.more(); err != nil {
			return early(err)
		}
	}
	return nil
}

func early(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("waited in vain: %w", err)
	}
	return fmt.Errorf("%w: %w", errEarly, err)
}

// line takes the bytes before the next CRLF. A CR or a LF that is not one of a pair is an error.
func (p *peer) line() (string, error) {
	for {
		if i := bytes.IndexByte(p.in, '\n'); i >= 0 {
			line := string(p.in[:i+1])
			p.in = p.in[i+1:]
			text, ok := strings.CutSuffix(line, "\r\n")
			if !ok || strings.Contains(text, "\r") {
				return "", fmt.Errorf("the line %q ends in no CRLF, or has a CR in it", line)
			}
			return text, nil
		}
		if err := p.more(); err != nil {
			return "", early(err)
		}
	}
}

// framing is how a body is delimited.
type framing string

const (
	none    framing = "none"
	length  framing = "length"
	chunked framing = "chunked"
	toClose framing = "close"
)

// message is a request or an answer, as a strict reader takes it.
type message struct {
	first   string   // request line or status line
	lines   []string // field lines as they came
	body    []byte   // as far as it was read
	trailer []string
	framing framing
	left    int64 // of the body, or of the chunk being read
	ended   bool
}

// readHead reads a head. A request has no body unless it says so; an answer has one unless bodiless.
func (p *peer) readHead(request, bodiless bool) (*message, error) {
	m := &message{}
	var err error
	if m.first, err = p.line(); err != nil {
		return m, err
	}
	if m.lines, err = p.fields(); err != nil {
		return m, err
	}
	if request {
		err = m.checkRequestLine()
	} else {
		err = m.checkStatusLine()
	}
	if err != nil {
		return m, err
	}
	status := m.status()
	bodiless = bodiless || !request && (status < 200 || status == 204 || status == 304)
	return m, m.frame(request, bodiless)
}

// fields reads field lines to the blank line.
func (p *peer) fields() (lines []string, err error) {
	for {
		line, err := p.line()
		if err != nil || line == "" {
			return lines, err
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !token(name) {
			return lines, fmt.Errorf("%q is no field line", line)
		}
		for _, c := range []byte(value) {
			if c != '\t' && c < ' ' || c == 0x7f {
				return lines, fmt.Errorf("the value of %q has a control byte", line)
			}
		}
		lines = append(lines, line)
	}
}

func token(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}

func (m *message) checkRequestLine() error {
	words := strings.Split(m.first, " ")
	if len(words) != 3 || !token(words[0]) || words[1] == "" || words[2] != "HTTP/1.1" {
		return fmt.Errorf("%q is no request line of HTTP/1.1", m.first)
	}
	for _, c := range []byte(words[1]) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("the target of %q has a byte that may not stand there", m.first)
		}
	}
	return nil
}

func (m *message) checkStatusLine() error {
	version, rest, _ := strings.Cut(m.first, " ")
	code, _, found := strings.Cut(rest, " ")
	if n, err := strconv.Atoi(code); version != "HTTP/1.1" || !found || len(code) != 3 || err != nil || n < 100 {
		return fmt.Errorf("%q is no status line of HTTP/1.1", m.first)
	}
	return nil
}

// status is an answer's, 0 of a request.
func (m *message) status() int {
	if len(m.first) < 12 {
		return 0
	}
	n, _ := strconv.Atoi(m.first[9:12])
	return n
}

// frame finds how the body ends; whatever could be read in two ways is an error.
func (m *message) frame(request, bodiless bool) error {
	lengths, codings := m.values("Content-Length"), m.values("Transfer-Encoding")
	m.framing = toClose
	if request {
		m.framing = none
	}
	switch {
	case len(lengths)+len(codings) > 1:
		return fmt.Errorf("the framing is ambiguous: %q %q", lengths, codings)
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return fmt.Errorf("the transfer coding %q is not chunked", codings[0])
		}
		m.framing = chunked
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if err != nil {
			return fmt.Errorf("the length %q is no number", lengths[0])
		}
		m.framing, m.left = length, int64(n)
	}
	if bodiless {
		m.framing = none
	}
	m.ended = m.framing == none || m.framing == length && m.left == 0
	return nil
}

// values are the values of all fields of a name, whatever its case.
func (m *message) values(name string) (values []string) {
	for _, line := range m.lines {
		n, v, _ := strings.Cut(line, ":")
		if strings.EqualFold(n, name) {
			values = append(values, strings.Trim(v, " \t"))
		}
	}
	return values
}

// value is the only value of that name; "" when there is none, and a text that fits nothing when there are several.
func (m *message) value(name string) string {
	values := m.values(name)
	if len(values) > 1 {
		return fmt.Sprintf("%q", values)
	}
	return strings.Join(values, "")
}

// rest reads the body to its end.
func (m *message) rest(p *peer) error {
	for {
		if _, err := m.next(p); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// next reads the next piece of the body, and adds it to m.body; io.EOF says that the body has ended as it should.
func (m *message) next(p *peer) ([]byte, error) {
	piece, err := m.piece(p)
	m.body = append(m.body, piece...)
	return piece, err
}

// piece is next without keeping.
func (m *message) piece(p *peer) ([]byte, error) {
	if m.ended {
		return nil, io.EOF
	}
	if m.framing == chunked && m.left == 0 {
		if err := m.startChunk(p); err != nil {
			return nil, err
		}
	}
	if len(p.in) == 0 {
		err := p.more()
		if m.framing == toClose && err == io.EOF {
			m.ended = true
			return nil, io.EOF
		}
		if err != nil {
			return nil, early(err)
		}
	}
	n := int64(len(p.in))
	if m.framing != toClose {
		n = min(n, m.left)
		m.left -= n
	}
	piece := bytes.Clone(p.in[:n])
	p.in = p.in[n:]
	m.ended = m.framing == length && m.left == 0
	if m.framing == chunked && m.left == 0 {
		return piece, p.expect("\r\n")
	}
	return piece, nil
}

// startChunk reads a chunk's size, and the trailers when it is the last. Extensions are an error: they are of one hop.
func (m *message) startChunk(p *peer) error {
	size, err := p.line()
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(size, 16, 62)
	if err != nil {
		return fmt.Errorf("%q is no chunk size", size)
	}
	if m.left = int64(n); n > 0 {
		return nil
	}
	if m.trailer, err = p.fields(); err != nil {
		return err
	}
	m.ended = true
	return io.EOF
}

func (p *peer) expect(text string) error {
	if err := p.need(len(text)); err != nil {
		return err
	}
	if got := string(p.in[:len(text)]); got != text {
		return fmt.Errorf("%q in place of %q", got, text)
	}
	p.in = p.in[len(text):]
	return nil
}
