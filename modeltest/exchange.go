package modeltest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// exchange is one counted request on its way to an answer or to trouble.
type exchange struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	plan *plan
}

// exchange wraps what answers: counts, then does as the plan says.
func (s *Server) exchange(answers answerer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.work.Add(1)
		defer s.work.Done()
		x := &exchange{s: s, w: w, r: r}
		if isHealth(r) {
			x.plan = s.healthPlan()
			x.run(answers)
			return
		}
		number := s.counts.begin(r.Method)
		if s.options.OnRequest != nil {
			s.options.OnRequest(r)
		}
		var err error
		if x.plan, err = s.planFor(r, number); err != nil {
			x.plan, answers = &plan{}, func(*http.Request, []byte) answer { return inferError(http.StatusBadRequest, err) }
		}
		s.counts.end(r.Method, x.run(answers))
	}
}

func isHealth(r *http.Request) bool {
	return r.URL.Path == "/v2/health/live" || r.URL.Path == "/v2/health/ready"
}

func (s *Server) healthPlan() *plan {
	if p := s.trouble.Load(); p.health {
		return p
	}
	return &plan{}
}

// planFor is what the request asks for, else the server's plan for its number-th request.
func (s *Server) planFor(r *http.Request, number int64) (*plan, error) {
	if text := r.Header.Get("X-Modeltest"); text != "" {
		return parsePlan(text)
	}
	p := s.trouble.Load()
	if p.every > 1 && number%int64(p.every) != 0 || p.post && r.Method != http.MethodPost {
		return &plan{}, nil
	}
	return p, nil
}

func (x *exchange) run(answers answerer) outcome {
	body, err := x.read()
	if err != nil || !x.wait(x.plan.delay) {
		return x.left()
	}
	if x.plan.hang == "head" {
		return x.hang()
	}
	a := answers(x.r, body).under(x.plan)
	if !x.wait(a.think) {
		return x.left()
	}
	if x.plan.raw() {
		return x.sendRaw(a)
	}
	return x.send(a)
}

func (x *exchange) read() ([]byte, error) {
	if x.plan.early {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	x.s.counts.received(len(body))
	return body, err
}

// wait returns false when the peer left, or the server was closed, before the time was over.
func (x *exchange) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
		return false
	}
}

// hang waits until the peer leaves.
func (x *exchange) hang() outcome {
	<-x.r.Context().Done()
	return x.left()
}

// left is how an exchange ended that nobody takes the answer of: by the peer's will, or because the server was closed.
func (x *exchange) left() outcome {
	if x.s.ctx.Err() != nil {
		return broken
	}
	return aborted
}

// send leaves the wire to net/http.
func (x *exchange) send(a answer) outcome {
	x.w.Header().Set("Content-Type", a.kind)
	if a.length >= 0 {
		x.w.Header().Set("Content-Length", strconv.FormatInt(a.length, 10))
	}
	if x.plan.close == "header" {
		x.w.Header().Set("Connection", "close")
	}
	x.w.WriteHeader(a.status)
	if err := x.sendPieces(a, x.w); err != nil {
		return x.left()
	}
	if x.plan.hang == "body" {
		return x.hang()
	}
	return finished
}

// sendPieces writes the body piece by piece, each flushed before the next when time passes between them.
func (x *exchange) sendPieces(a answer, w io.Writer) error {
	first := true
	for piece := range a.pieces {
		if !first && !x.wait(a.gap) {
			return context.Canceled
		}
		first = false
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if to, is := w.(http.ResponseWriter); is && (a.length < 0 || a.gap > 0 || x.plan.hang == "body") {
			_ = http.NewResponseController(to).Flush()
		}
	}
	return nil
}

// sendRaw takes the connection from net/http and writes what no honest server would.
func (x *exchange) sendRaw(a answer) outcome {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return aborted
	}
	defer x.s.counts.closed()
	defer conn.Close()
	defer context.AfterFunc(x.s.ctx, func() { conn.Close() })()

	err = x.writeRaw(a, conn)
	if tcp, is := conn.(*net.TCPConn); is && x.plan.reset != "" {
		_ = tcp.SetLinger(0) // Close sends RST
	}
	switch {
	case x.plan.breaks():
		return broken
	case err != nil:
		return x.left()
	}
	return finished
}

func (x *exchange) writeRaw(a answer, conn io.Writer) error {
	if x.plan.garbage {
		_, err := io.WriteString(conn, "220 this is not the protocol you are looking for\r\n")
		return err
	}
	if x.plan.instead() {
		return nil
	}
	if err := x.writeHead(a, conn); err != nil {
		return err
	}
	if a.length >= 0 {
		return x.sendPieces(a, conn)
	}
	if err := x.sendPieces(a, chunks{conn}); err != nil || x.plan.cuts() {
		return err
	}
	_, err := io.WriteString(conn, "0\r\n\r\n")
	return err
}

func (x *exchange) writeHead(a answer, conn io.Writer) error {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", a.status, http.StatusText(a.status), a.kind)
	if a.length >= 0 {
		head += fmt.Sprintf("Content-Length: %d\r\n", a.length)
	} else {
		head += "Transfer-Encoding: chunked\r\n"
	}
	if x.plan.close != "silent" && !x.plan.breaks() {
		head += "Connection: close\r\n" // a connection taken from net/http is not used again
	}
	slow := answer{gap: x.plan.head, pieces: one([]byte(head + "\r\n"))}
	if slow.gap > 0 {
		slow.pieces = bytewise(slow.pieces)
	}
	return x.sendPieces(slow, conn)
}

// chunks frames every write as one chunk.
type chunks struct{ io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	if _, err := fmt.Fprintf(c.Writer, "%x\r\n%s\r\n", len(p), p); err != nil {
		return 0, err
	}
	return len(p), nil
}
