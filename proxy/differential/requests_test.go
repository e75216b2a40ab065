package differential

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzRequests sends what the fuzzer makes up. how says over what, and in which pieces.
func FuzzRequests(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(roll(seed).requests(), uint8(seed))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, stream string, how uint8) {
		if len(stream) > 64<<10 {
			return
		}
		if _, err := r.requestLaws(stream, how); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRequests sends thousands of streams, the same in each run.
func TestRequests(t *testing.T) {
	t.Parallel()
	for part := range uint64(2) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			meant, heard := 0, 0
			for seed := range uint64(1500) {
				seed += part << 32
				stream, how := roll(seed).requests(), uint8(seed)
				v, err := r.requestLaws(stream, how)
				if err != nil {
					stream, err = shorter(stream, err, func(s string) error { _, err := r.requestLaws(s, how); return err })
					t.Fatalf("seed %d, how %d: %v\nthe client sends\n%s", seed, how, err, show(stream))
				}
				meant, heard = meant+len(v.meant), heard+len(v.heard)
			}
			t.Logf("%d requests by the reference reader, %d of them reached the model server", meant, heard)
			if heard < 500 || heard < meant/2 {
				t.Errorf("only %d of %d requests reached the model server: little is compared", heard, meant)
			}
		})
	}
}

// shorter takes parts out of text for as long as it breaks a law, and as patience lasts.
func shorter(text string, err error, law func(string) error) (string, error) {
	end := time.Now().Add(patience)
	for size := max(len(text)/2, 1); size > 0; size /= 2 {
		for i := 0; i+size <= len(text) && time.Now().Before(end); {
			without := text[:i] + text[i+size:]
			if e := law(without); e != nil {
				text, err = without, e
			} else {
				i += size
			}
		}
	}
	return text, err
}

// conversation is what a client said, and what became of it.
type conversation struct {
	meant   []*message // whole requests in it, read strictly
	end     error      // what follows them: io.EOF nothing, errShort a part of one, or what can be none
	text    string     // what the client got
	answers []*message
	after   string // and no answer yet
	heard   []*message
	parts   []string
	faults  []error
}

// requestLaws plays a stream, and says which law was broken.
func (r *rig) requestLaws(stream string, how uint8) (*conversation, error) {
	v, err := r.converse(stream, roll(uint64(how)).pieces(stream), how%2 == 0)
	if err == nil {
		err = v.laws()
	}
	if err == nil && how%4 == 0 && v.end != errShort {
		err = r.sameInOnePiece(stream, v)
	}
	if err != nil {
		err = fmt.Errorf("%w\nthe client got\n%s", err, show(v.text))
	}
	return v, err
}

// sameInOnePiece holds that it does not matter how a stream is cut.
func (r *rig) sameInOnePiece(stream string, v *conversation) error {
	w, err := r.converse(stream, []string{stream}, true)
	if err == nil {
		err = w.laws()
	}
	if err != nil {
		return err
	}
	if v.brief() != w.brief() {
		return fmt.Errorf("cut in another way, the same stream does something else: %s; in one piece %s", v.brief(), w.brief())
	}
	return nil
}

// brief says what reached the model server and what was answered. Of two faults in a head either may be named.
func (v *conversation) brief() string {
	var b strings.Builder
	for _, m := range v.heard {
		fmt.Fprintf(&b, "%s %s %q, ", m.method, m.target, m.body)
	}
	for _, a := range v.answers {
		if len(a.values("X-Heard")) == 0 && a.status >= 400 {
			b.WriteString("refused ")
		} else {
			fmt.Fprintf(&b, "%d ", a.status)
		}
	}
	return b.String()
}

// meaning reads a client's stream.
func meaning(stream string) (all []*message, end error) {
	in := &input{left: stream, ended: true}
	for {
		m, err := in.request()
		if err != nil {
			return all, err
		}
		all = append(all, m)
		if m.last {
			return all, io.EOF
		}
	}
}

// converse sends a stream, and reads the answers to the end of the connection.
func (r *rig) converse(stream string, pieces []string, piped bool) (*conversation, error) {
	v := &conversation{}
	v.meant, v.end = meaning(stream)
	r.begin(nil)
	c, err := r.dial(piped)
	if err != nil {
		return v, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	sent, enough := make(chan struct{}), make(chan struct{})
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(c, piece); err != nil {
				break
			}
		}
		<-enough
		_ = c.CloseWrite()
		close(sent)
	}()
	err = v.listen(c, enough)
	<-sent
	if err == nil {
		err = r.fence()
	}
	r.note(func() { v.heard, v.parts, v.faults = r.heard, r.parts, r.faults })
	return v, err
}

func (r *rig) dial(piped bool) (halfClosing, error) {
	if piped {
		return r.pipes.dial(), nil
	}
	c, err := net.Dial("tcp", r.socket)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// listen reads until the connection ends; once no more answers are due, the client says that it has nothing to add.
func (v *conversation) listen(c net.Conn, enough chan struct{}) error {
	buf, due := make([]byte, 64<<10), true
	for {
		v.read()
		if n := len(v.answers); due && (n >= len(v.meant) || n > 0 && v.answers[n-1].last) {
			due = false
			close(enough)
		}
		n, err := c.Read(buf)
		v.text += string(buf[:n])
		if err == nil {
			continue
		}
		v.read()
		if due {
			close(enough)
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return fmt.Errorf("the proxy neither answers nor closes: %d answers to %d requests, and then %w", len(v.answers), len(v.meant), v.end)
		}
		return nil
	}
}

// read reads the answers that have come.
func (v *conversation) read() {
	v.answers, v.after = nil, v.text
	for {
		method := "GET"
		if n := len(v.answers); n < len(v.meant) {
			method = v.meant[n].method
		}
		in := &input{left: v.after}
		a, err := in.answer(method)
		if err != nil {
			return
		}
		v.answers, v.after = append(v.answers, a), in.left
	}
}

// laws are what must be true, whatever a client sends.
func (v *conversation) laws() error {
	switch {
	case len(v.faults) > 0:
		return fmt.Errorf("the model server gets what no strict reader takes: %w", v.faults[0])
	case len(v.heard) > len(v.meant):
		return fmt.Errorf("%d requests become %d", len(v.meant), len(v.heard))
	case len(v.parts) > 1 || len(v.parts) > 0 && v.end == io.EOF:
		return fmt.Errorf("the model server gets parts of requests where the client sends whole ones: %q", v.parts)
	}
	if err := v.pairs(); err != nil {
		return err
	}
	return v.endings()
}

// pairs holds each answer to its request, and each request that the model server got to the one that the client sent.
func (v *conversation) pairs() error {
	heard := 0
	for i, a := range v.answers {
		if len(a.values("X-Heard")) == 0 {
			if a.status >= 502 && a.status <= 504 {
				return fmt.Errorf("the client's fault is laid on the model server: %d", a.status)
			}
			continue
		}
		if heard++; heard > len(v.heard) || i >= len(v.meant) {
			return fmt.Errorf("%d answers of the model server to %d requests; %d are meant", heard, len(v.heard), len(v.meant))
		}
		got := v.heard[heard-1]
		if want := "answer to " + got.method + " " + got.target; a.values("X-Heard")[0] != fmt.Sprint(heard) || a.body != want && got.method != "HEAD" {
			return fmt.Errorf("answer %d is %q, the model server's to another request than %q", i, a.body, got.target)
		}
		if err := same(v.meant[i], got); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	if heard != len(v.heard) {
		return fmt.Errorf("the model server answered %d requests, the client got %d of the answers", len(v.heard), heard)
	}
	return nil
}

// same holds that got says to the model server what the client meant.
func same(meant, got *message) error {
	target, host, err := meant.destination()
	if err != nil {
		return err
	}
	switch gotHost := strings.Join(got.values("Host"), ", "); {
	case got.method != meant.method || got.target != target:
		return fmt.Errorf("%s %s becomes %s %s", meant.method, target, got.method, got.target)
	case host != "" && host != gotHost:
		return fmt.Errorf("host %q becomes %q", host, gotHost)
	case got.body != meant.body:
		return fmt.Errorf("the body becomes another\n%sthat is\n%s", show(meant.body), show(got.body))
	}
	if a, b := endToEnd(meant, meant), endToEnd(got, meant); !slices.Equal(a, b) {
		return fmt.Errorf("the fields %q become %q", a, b)
	}
	return partOf(got.trailer, meant.trailer)
}

// ofAProxy are the fields that proxies remove, add or change.
var ofAProxy = []string{
	"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "transfer-encoding", "content-length", "host",
	"expect", "max-forwards", "via", "x-request-id", "http2-settings",
}

// endToEnd are the fields of m that pass every proxy as they are; from is who says which do not.
func endToEnd(m, from *message) (fields []field) {
	nominated := strings.Split(strings.ToLower(strings.Join(from.values("Connection"), ",")), ",")
	for _, f := range m.fields {
		name := strings.ToLower(f.name)
		named := slices.ContainsFunc(nominated, func(s string) bool { return strings.Trim(s, " \t") == name })
		name = strings.ReplaceAll(name, "_", "-") // as those see it who make variables of names
		if !named && !slices.Contains(ofAProxy, name) && !strings.HasPrefix(name, "x-mlproxy-") && !strings.HasPrefix(name, "x-forwarded-") {
			fields = append(fields, f)
		}
	}
	return fields
}

// partOf holds that the trailers that came are some of those that were sent, in their order, and none that frames or routes.
func partOf(got, sent []field) error {
	for _, f := range got {
		i := slices.Index(sent, f)
		if i < 0 || slices.Contains(ofAProxy, strings.ToLower(f.name)) {
			return fmt.Errorf("the trailer %q, of %q", f, sent)
		}
		sent = sent[i+1:]
	}
	return nil
}

// endings holds the proxy to how a connection ends.
func (v *conversation) endings() error {
	for i, a := range v.answers {
		if a.last && i < len(v.answers)-1 {
			return fmt.Errorf("answer %d says that it is the last, and %d follow", i, len(v.answers)-1-i)
		}
	}
	n := len(v.answers)
	last := n > 0 && v.answers[n-1].last
	// Whether what is no request asked by HEAD only the proxy knows: an answer without its body is whole as well.
	head := &input{left: v.after}
	if a, err := head.answer("HEAD"); err == nil && head.left == "" && n >= len(v.meant) && a.last {
		v.answers, v.after, last, n = append(v.answers, a), "", true, n+1
	}
	if v.end == errShort {
		v.after = withoutInterim(v.after)
	}
	_, refused := errors.AsType[malformed](v.end)
	switch {
	case v.after != "":
		return fmt.Errorf("what follows the answers is none: %q", v.after)
	case n < len(v.meant) && !last:
		return fmt.Errorf("%d requests, %d answers, and the connection ends", len(v.meant), n)
	case n > len(v.meant)+1 || n > len(v.meant) && v.end == io.EOF:
		return fmt.Errorf("%d answers to %d requests", n, len(v.meant))
	case refused && !last:
		return fmt.Errorf("no answer says that there was no request (%w)", v.end)
	case n > len(v.meant) && v.answers[n-1].status == 200 && last && len(v.answers[n-1].values("X-Heard")) == 0:
		return nil // the proxy's own answer to OPTIONS with Max-Forwards: 0, which waits for no body
	case n > len(v.meant) && (v.answers[n-1].status < 400 || v.answers[n-1].status > 505):
		return fmt.Errorf("what is no request is answered with %d", v.answers[n-1].status)
	}
	return nil
}

// withoutInterim is what follows interim answers: a body that was asked for by 100 and never came is answered by nothing more.
func withoutInterim(text string) string {
	for {
		m, in := &message{}, &input{left: text}
		first, err := in.head(m)
		if err != nil || m.statusLine(first) != nil || m.status >= 200 {
			return text
		}
		text = in.left
	}
}
