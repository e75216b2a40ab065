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

// FuzzAnswers lets the model server say what the fuzzer makes up. how says in answer to what, in which pieces, and what then
// becomes of the connection.
func FuzzAnswers(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(roll(seed).answers(), uint8(seed))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		if len(text) > 32<<10 {
			return // beyond the limits of heads and trailers the proxy may refuse what is well formed
		}
		if _, err := r.answerLaws(text, how); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAnswers lets the model server say thousands of things, the same in each run.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for part := range uint64(2) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			passed := 0
			for seed := range uint64(1500) {
				seed += part << 32
				text, how := roll(seed).answers(), uint8(roll(seed).IntN(256))
				whole, err := r.answerLaws(text, how)
				if err != nil {
					text, err = shorter(text, err, func(s string) error { _, err := r.answerLaws(s, how); return err })
					t.Fatalf("seed %d, how %d: %v\nthe model server says\n%s", seed, how, err, show(text))
				}
				if whole {
					passed++
				}
			}
			t.Logf("%d whole answers reached the client", passed)
			if passed < 300 {
				t.Errorf("only %d whole answers reached the client: little is compared", passed)
			}
		})
	}
}

// request is what the client asks, drawn from dice.
func (d dice) question() (method, request string) {
	method = d.one("GET", "GET", "POST", "HEAD")
	length := ""
	if method == "POST" {
		length = "Content-Length: 2\r\n"
	}
	request = method + " /x " + d.one("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0") + "\r\nHost: h\r\n" + length + d.rarely(5, "", "Connection: close\r\n", "Connection: keep-alive\r\n") + "\r\n"
	if method == "POST" {
		request += "ok"
	}
	return method, request
}

// answerLaws plays one answer, and says which law was broken, and whether a whole answer was passed on.
func (r *rig) answerLaws(text string, how uint8) (whole bool, err error) {
	d := roll(uint64(how))
	method, request := d.question()
	s := &script{pieces: d.pieces(text), after: ending(d.IntN(int(endings))), said: make(chan struct{})}
	meant, end := (&input{left: text, ended: s.after == closes}).answer(method)
	if end != nil && s.after == stays {
		s.after = closes // else the proxy would wait for the rest, and rightly
		meant, end = (&input{left: text, ended: true}).answer(method)
	}
	r.begin(s)
	c, err := net.Dial("tcp", r.socket)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		return false, err
	}
	got := &reply{method: method}
	err = got.listen(c)
	if err == nil {
		err = got.laws(meant, end, s.after, strings.Contains(request, "HTTP/1.0"))
	}
	if r.begun() {
		<-s.said // what the model server does beyond its answer it has done before the next request
	}
	if err == nil && got.err == nil && !got.message.last {
		err = next(c)
	}
	if err == nil {
		err = r.fence()
	}
	if err != nil {
		err = fmt.Errorf("%w\nthe client asks\n%sand gets\n%s", err, show(request), show(got.text))
	}
	return got.err == nil && !got.own(), err
}

// next sends another request on the client's connection, which must be answered as if nothing had been before.
func next(c net.Conn) error {
	got, err := ask(c, "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if err != nil || got.body != "answer to GET /next" {
		return fmt.Errorf("the next request on the connection is answered with %+v, %v", got, err)
	}
	return nil
}

// reply is what a client gets in answer to one request.
type reply struct {
	method  string
	text    string
	message *message
	err     error // nil: the message is whole
	rest    string
}

// listen reads until the answer is whole, or the connection ends.
func (y *reply) listen(c net.Conn) error {
	buf, ended := make([]byte, 64<<10), false
	for {
		in := &input{left: y.text, ended: ended}
		y.message, y.err = in.answer(y.method)
		y.rest = in.left
		if y.err == nil || ended {
			return nil
		}
		n, err := c.Read(buf)
		y.text += string(buf[:n])
		timeout, _ := errors.AsType[net.Error](err)
		switch {
		case err == nil:
		case err == io.EOF:
			ended = true
		case timeout != nil && timeout.Timeout():
			return fmt.Errorf("the proxy neither answers nor closes: %w", y.err)
		default: // a reset: what came is the beginning of an answer
			return nil
		}
	}
}

// own says that the answer is the proxy's, and not the model server's.
func (y *reply) own() bool {
	return slices.Equal(y.message.values("Content-Type"), []string{"application/problem+json"}) && len(y.message.values("X-MLProxy-Error")) == 1
}

// laws are what must be true, whatever the model server says: meant is its answer, end why there is none.
func (y *reply) laws(meant *message, end error, after ending, old bool) error {
	_, nonsense := errors.AsType[malformed](y.err)
	switch {
	case nonsense:
		return fmt.Errorf("the client gets what no strict reader takes: %w", y.err)
	case y.rest != "":
		return fmt.Errorf("more than an answer: %q", y.rest)
	case y.err != nil:
		return y.broken(end, after)
	case y.own() && (y.message.status < 502 || y.message.status > 504):
		return fmt.Errorf("the model server's fault is called %d", y.message.status)
	case y.own() && end == nil && after != resets:
		return fmt.Errorf("a whole answer becomes %d", y.message.status)
	case y.own():
		return nil
	case end != nil:
		return fmt.Errorf("what is no whole answer (%w) reaches the client as one", end)
	}
	return y.same(meant, old)
}

// broken holds that an answer that did not come to its end had none.
func (y *reply) broken(end error, after ending) error {
	if end == nil && after != resets {
		return fmt.Errorf("a whole answer reaches the client in part: %w", y.err)
	}
	return nil
}

// same holds that the client got what the model server said.
func (y *reply) same(meant *message, old bool) error {
	got := y.message
	interim := slices.DeleteFunc(slices.Clone(meant.interim), func(s int) bool { return s == 100 || old })
	switch {
	case got.status != meant.status || got.body != meant.body:
		return fmt.Errorf("%d with %d bytes becomes %d with\n%s", meant.status, len(meant.body), got.status, show(got.body))
	case !slices.Equal(interim, got.interim):
		return fmt.Errorf("the interim answers %d become %d", meant.interim, got.interim)
	}
	if a, b := endToEnd(meant, meant), endToEnd(got, meant); !slices.Equal(a, b) {
		return fmt.Errorf("the fields %q become %q", a, b)
	}
	return partOf(got.trailer, meant.trailer)
}
