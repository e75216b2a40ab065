package modeltest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds what the models read of one request; /modeltest/sink reads without bound and keeps nothing.
const maxBody = 64 << 20

// Options say what a server serves. The zero value serves iris and digits, both in version 1, on a free port.
type Options struct {
	// Addr to listen on; empty means a free port of 127.0.0.1. Give the Addr of a closed server to start it anew.
	Addr string
	// Models are builds as LoadModel knows them. Of several versions the last answers requests that name none.
	Models []string
	// TokenGap passes between two tokens of a chat answer.
	TokenGap time.Duration
	// TLS, when set, is spoken instead of clear text.
	TLS *tls.Config
	// OnRequest, when set, sees every counted request before its body is read. It runs on the request's goroutine.
	OnRequest func(*http.Request)
}

// Server is a model server on a loopback address.
type Server struct {
	URL  string // http://host:port or https://host:port, once it listens
	Addr string // host:port

	options Options
	models  map[string][]*Model // by name, in the order of Options.Models
	web     *http.Server
	counts  tally
	trouble atomic.Pointer[plan] // of every request that asks for none itself; never nil

	ctx    context.Context // ends with Close; every request's context descends from it
	cancel context.CancelFunc
	work   sync.WaitGroup // the accept loop and running exchanges
}

// Start makes a server and lets it serve in the background until Close.
func Start(o Options) (*Server, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	s.listensOn(ln)
	if o.TLS != nil {
		ln, s.URL = tls.NewListener(ln, o.TLS), "https://"+s.Addr
		s.web.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	}
	s.work.Go(func() { _ = s.web.Serve(ln) })
	return s, nil
}

// New makes a server that does not listen yet: see Serve, or use it as an http.Handler.
func New(o Options) (*Server, error) {
	if len(o.Models) == 0 {
		o.Models = []string{"iris.1", "digits.1"}
	}
	s := &Server{options: o, models: map[string][]*Model{}}
	for _, build := range o.Models {
		m, err := LoadModel(build)
		if err != nil {
			return nil, err
		}
		s.models[m.Name] = append(s.models[m.Name], m)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.trouble.Store(&plan{})
	s.counts.byMethod = map[string]Counts{}
	s.web = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ConnState:         s.counts.connection,
	}
	return s, nil
}

// Serve answers on ln until Close, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	s.listensOn(ln)
	s.work.Add(1)
	defer s.work.Done()
	if err := s.web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) listensOn(ln net.Listener) {
	s.Addr = ln.Addr().String()
	s.URL = "http://" + s.Addr
}

// Close breaks every connection off and waits until nothing of the server runs any more. Its port is free afterwards.
func (s *Server) Close() error {
	s.cancel()
	err := s.web.Close()
	s.work.Wait()
	return err
}

// CloseIdle closes the connections that carry no request just now, as a model server does when its keep-alive runs out.
func (s *Server) CloseIdle() {
	s.web.SetKeepAlivesEnabled(false)
	s.web.SetKeepAlivesEnabled(true)
}

// Misbehave gives trouble to every request that asks for none itself, in the words of the X-Modeltest header; "" ends it.
// Health checks stay well unless the words contain "health".
func (s *Server) Misbehave(words string) error {
	p, err := parsePlan(words)
	if err == nil {
		s.trouble.Store(p)
	}
	return err
}

// ServeHTTP answers one request; see the package comment for what it understands.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.web.Handler.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	answerAt := func(pattern string, answers answerer) { mux.HandleFunc(pattern, s.exchange(answers)) }

	answerAt("GET /v2/health/live", healthy)
	answerAt("GET /v2/health/ready", healthy)
	answerAt("GET /v2", s.serverMetadata)
	answerAt("GET /v2/models/{model}", s.metadata)
	answerAt("GET /v2/models/{model}/ready", s.modelReady)
	answerAt("GET /v2/models/{model}/versions/{version}", s.metadata)
	answerAt("GET /v2/models/{model}/versions/{version}/ready", s.modelReady)
	answerAt("POST /v2/models/{model}/infer", s.infer)
	answerAt("POST /v2/models/{model}/versions/{version}/infer", s.infer)
	answerAt("GET /v1/models", s.chatModels)
	answerAt("POST /v1/chat/completions", s.chat)
	answerAt("/", unknown)

	mux.HandleFunc("POST /modeltest/misbehave", s.setTrouble)
	mux.HandleFunc("POST /modeltest/close-idle", func(http.ResponseWriter, *http.Request) { s.CloseIdle() })
	mux.HandleFunc("GET /modeltest/stats", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(s.Stats()) })
	mux.HandleFunc("POST /modeltest/sink", s.sink)
	return mux
}

func (s *Server) setTrouble(w http.ResponseWriter, r *http.Request) {
	words, err := io.ReadAll(io.LimitReader(r.Body, 4<<10))
	if err == nil {
		err = s.Misbehave(string(words))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// sink reads a body of any size as it comes and says how long it was: for uploads in bounded memory.
func (s *Server) sink(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(countInto{&s.counts}, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "{\"bytes\":%d}\n", n)
}
