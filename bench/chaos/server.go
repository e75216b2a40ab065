package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mlproxy/modeltest"
)

const (
	// placeVar is set in the environment of a process that is to be a model server: name@host:port.
	placeVar = "MLPROXY_CHAOS_SERVER"
	// nameHeader of an answer says which model server it is from.
	nameHeader = "X-Chaos-Endpoint"
	// runningPath says how many requests a model server has that are not done.
	runningPath = "/chaos/running"
	// longestPath says how many bytes of one answer, at the most, somebody has taken from a model server.
	longestPath = "/chaos/longest"
	// wellBehaved is how a model server answers that nothing is wrong with, in the words of modeltest.
	wellBehaved = "delay=3ms"
)

// serveModel is the life of a model server's process: it serves until its standard input ends, and that is with its parent.
func serveModel(place string, alive io.Reader, out io.Writer) (exit int) {
	name, addr, _ := strings.Cut(place, "@")
	web, err := modelServer(name)
	if err != nil {
		fmt.Fprintln(out, err)
		return exitUsage
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(out, err)
		return exitBroken
	}
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		_ = web.Close()
	}()
	fmt.Fprintln(out, "listening")
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(out, err)
		return exitBroken
	}
	return 0
}

// modelServer is a modeltest server that puts its name on its answers.
func modelServer(name string) (*http.Server, error) {
	model, err := modeltest.New(modeltest.Options{Models: []string{"iris.1"}})
	if err != nil {
		return nil, err
	}
	var streams, longest atomic.Int64
	named := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(nameHeader, name)
		switch r.URL.Path {
		case clockPath:
			streams.Add(1)
			defer streams.Add(-1)
			serveClock(w, r)
		case runningPath:
			_, _ = fmt.Fprint(w, model.Stats().Running()+streams.Load())
		case longestPath:
			_, _ = fmt.Fprint(w, longest.Load())
		default:
			model.ServeHTTP(&metered{ResponseWriter: w, longest: &longest}, r)
		}
	}
	return &http.Server{Handler: http.HandlerFunc(named), ReadHeaderTimeout: time.Minute}, model.Misbehave(wellBehaved)
}

// metered notes how long answers become.
type metered struct {
	http.ResponseWriter
	written int64
	longest *atomic.Int64
}

// Unwrap is for http.ResponseController, which flushes and hijacks.
func (m *metered) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *metered) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.written += int64(n)
	for longest := m.longest.Load(); m.written > longest && !m.longest.CompareAndSwap(longest, m.written); longest = m.longest.Load() {
	}
	return n, err
}

// server is a model server as we see it: a place, and the process that serves there, if any.
type server struct {
	name, addr string
	give       func() // gives the place back
	process    *process
	alive      io.Closer // its standard input
}

var listening = regexp.MustCompile(`^listening$`)

// newServer has a place to listen at again and again, which nobody else gets until leave: neither a connection that is made while the server is down,
// nor another server.
func newServer(name string) (*server, error) {
	ports, give, err := modeltest.Hold(1)
	if err != nil {
		return nil, err
	}
	return &server{name: name, addr: net.JoinHostPort("127.0.0.1", ports[0]), give: give}, nil
}

// leave is kill, for good.
func (s *server) leave() {
	_ = s.kill()
	s.give()
}

// start returns when the server listens.
func (s *server) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), placeVar+"="+s.name+"@"+s.addr)
	if s.alive, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if s.process, err = launch(cmd); err != nil {
		return err
	}
	_, err = s.process.await(ctx, listening)
	return err
}

// kill is kill -9.
func (s *server) kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	_ = s.alive.Close()
	s.process = nil
	return err
}

// freeze returns when every thread has stopped: a signal to a busy process takes its time.
func (s *server) freeze() error {
	if err := s.process.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(patience); !s.process.stopped(); {
		if time.Now().After(end) {
			return fmt.Errorf("%s does not stop", s.name)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (s *server) thaw() error { return s.process.signal(syscall.SIGCONT) }

// misbehave has the server give trouble to every request, in the words of modeltest.
func (s *server) misbehave(ctx context.Context, words string) error {
	status, text, err := post(ctx, "http://"+s.addr+"/modeltest/misbehave", words)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s does not know how to misbehave: %s", s.name, text)
	}
	return err
}

func post(ctx context.Context, url, body string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return call(ctx, http.MethodPost, url, strings.NewReader(body))
}

func get(ctx context.Context, url string) (text string, err error) {
	_, text, err = call(ctx, http.MethodGet, url, nil)
	return text, err
}

// call sends one request on a connection of its own.
func call(ctx context.Context, method, url string, body io.Reader) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content), err
}
