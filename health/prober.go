package health

import (
	"context"
	"crypto/tls"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Prober asks every endpoint that has a [Check], in its own time and over connections of its own, and passes on what changes.
type Prober struct {
	report  func(Transition)
	news    chan Transition
	dropped atomic.Int64
	client  *http.Client

	mu      sync.Mutex
	running bool
	jobs    map[*State]*job
	queue   []*job // due, in turn
	lanes   int    // in use
	working sync.WaitGroup
}

const (
	maxLanes = 256  // probes at once: a thousand endpoints that hang are still asked every 2s
	maxNews  = 1024 // transitions that wait to be reported
)

// job is one endpoint's turn: it waits for its timer, or for a lane, or is being asked. Never two of them at once.
type job struct {
	state *State
	timer *time.Timer
	busy  bool // in the queue or on a lane
	again bool // once more, as soon as it is no longer busy
	ctx   context.Context
	stop  context.CancelFunc
}

// NewProber makes a prober that does nothing until Run. report is called with every transition that [Prober.Tell] was told of, one after
// the other, by a goroutine of Run: it may wait.
func NewProber(report func(Transition)) *Prober {
	return &Prober{report: report, news: make(chan Transition, maxNews), client: newClient(), jobs: map[*State]*job{}}
}

// newClient shares nothing with live traffic: a connection per probe, no proxy of the environment, no redirects.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dial,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: mostRead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// secured is client for a check of https endpoints.
func (c *Check) secured(client *http.Client) *http.Client {
	if c.TLS == nil {
		return client
	}
	secure := newClient()
	secure.Transport.(*http.Transport).DialTLSContext = c.dialTLS
	return secure
}

// dialTLS opens a connection whose other end is who it should be.
func (c *Check) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, c.TLS.Connect(addr))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// Tell queues a transition for the report, and never waits: when too many are queued it is dropped and counted. It is what [NewState]
// wants to be given.
func (p *Prober) Tell(t Transition) {
	select {
	case p.news <- t:
	default:
		p.dropped.Add(1)
	}
}

// Dropped is how many transitions were not reported.
func (p *Prober) Dropped() int64 { return p.dropped.Load() }

// Add has an endpoint probed from now on, whenever it is configured to be, the first time at once.
func (p *Prober) Add(s *State) {
	j := p.adopt(s)
	if j == nil {
		return
	}
	s.attach(func() { p.due(j) })
	p.due(j)
}

func (p *Prober) adopt(s *State) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs[s] != nil {
		return nil
	}
	j := &job{state: s}
	j.ctx, j.stop = context.WithCancel(context.Background())
	p.jobs[s] = j
	return j
}

// Remove ends the probing of an endpoint, and that anything is told of it. A probe under way is broken off.
func (p *Prober) Remove(s *State) {
	s.detach()
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.jobs[s]; j != nil {
		j.end()
		delete(p.jobs, s)
	}
}

// Run probes until ctx ends; it is called once. It returns when no probe is under way any more, and all that was told is reported.
func (p *Prober) Run(ctx context.Context) {
	silence := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() { p.reports(silence) })
	for _, j := range p.start() {
		p.due(j)
	}
	<-ctx.Done()
	p.stop()
	p.working.Wait()
	close(silence)
	reporting.Wait()
}

func (p *Prober) reports(silence <-chan struct{}) {
	for {
		select {
		case t := <-p.news:
			p.report(t)
		case <-silence:
			for len(p.news) > 0 {
				p.report(<-p.news)
			}
			return
		}
	}
}

func (p *Prober) start() []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	return slices.Collect(maps.Values(p.jobs))
}

func (p *Prober) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.queue = false, nil
	for _, j := range p.jobs {
		j.end()
	}
}

func (j *job) end() {
	j.stop()
	if j.timer != nil {
		j.timer.Stop()
	}
}

// due puts a job into the queue, unless it is there or being asked: then it is asked once more after that.
func (p *Prober) due(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.running || p.jobs[j.state] != j:
	case j.busy:
		j.again = true
	default:
		p.enqueue(j)
	}
}

func (p *Prober) enqueue(j *job) {
	if j.timer != nil {
		j.timer.Stop()
	}
	j.busy, j.again = true, false
	p.queue = append(p.queue, j)
	if p.lanes < maxLanes {
		p.lanes++
		p.working.Go(p.lane)
	}
}

// lane asks one endpoint after the other until none is due.
func (p *Prober) lane() {
	for j := p.next(); j != nil; j = p.next() {
		p.done(j, j.state.ask(j.ctx, p.client))
	}
}

func (p *Prober) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.lanes--
		return nil
	}
	j := p.queue[0]
	p.queue = p.queue[1:]
	return j
}

// done has the job wait for its next turn; 0 = until somebody says it is due.
func (p *Prober) done(j *job, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j.busy = false
	switch {
	case !p.running || p.jobs[j.state] != j:
	case j.again:
		p.enqueue(j)
	case wait > 0:
		j.timer = time.AfterFunc(wait, func() { p.due(j) })
	}
}

// ask probes the endpoint, and says in how much time it wants to be asked again; 0 = not by itself.
func (s *State) ask(ctx context.Context, client *http.Client) time.Duration {
	ctx = context.WithValue(ctx, probeOf{}, s)
	s.knockIfDue(ctx, client)
	c := s.asked()
	if c == nil {
		return 0
	}
	sent := time.Now()
	err := c.ask(ctx, client, s.name.Endpoint)
	if ctx.Err() != nil {
		return 0
	}
	gap := jittered(c.Interval)
	if s.heard(c, sent, err) {
		gap /= 4
	}
	return max(gap-time.Since(sent), 1)
}

// jittered is d or up to a fifth less, so that endpoints, and replicas of mlproxy, do not fall into step.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
