package source

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// flapping is how often the instances of one service may change: two changes at once, and then one in this time.
const flapping = time.Second

// Service names the instances that are wanted from Consul's catalogue. It is comparable.
type Service struct {
	Name string
	Tags Tags
	// PassingOnly leaves out instances whose checks warn or fail. Those in maintenance are always left out.
	PassingOnly bool
	Datacenter  string // empty = the agent's
	Near        string // a node, or _agent: nearest first
}

func (s Service) String() string {
	if s.Tags == "" {
		return s.Name
	}
	return s.Name + " with " + strings.Join(s.Tags.list(), ", ")
}

// Tags are tags that an instance must have, all of them, as one comparable value; see [TagsOf].
type Tags string

// TagsOf joins tags; order and repetition make no difference.
func TagsOf(tags ...string) Tags {
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return Tags(strings.Join(slices.Compact(tags), "\n"))
}

func (t Tags) list() []string {
	if t == "" {
		return nil
	}
	return strings.Split(string(t), "\n")
}

// Want says which services are to be watched from now on, instead of those before. It never blocks, and may be called before WatchCatalogue.
func (c *Consul) Want(services []Service) {
	c.mu.Lock()
	c.wanted = map[Service]bool{}
	for _, s := range services {
		c.wanted[s] = true
	}
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default: // one is pending already
	}
}

// WatchCatalogue emits the instances of each wanted service: once at first, and whenever they are others, until ctx ends. Emits never
// overlap; emit may block, but not beyond ctx. A service without instances is not emitted, neither at first nor later: what was emitted
// before is kept, and Contact says why. Call it once.
func (c *Consul) WatchCatalogue(ctx context.Context, emit func(Service, []Instance)) error {
	members := catalogue{c: c, emit: emit, running: map[Service]context.CancelFunc{}}
	for {
		members.follow(ctx)
		select {
		case <-c.changed:
		case <-ctx.Done():
			members.watches.Wait()
			return nil
		}
	}
}

type catalogue struct {
	c       *Consul
	emitMu  sync.Mutex
	emit    func(Service, []Instance)
	running map[Service]context.CancelFunc
	watches sync.WaitGroup
}

// follow starts and ends watches as wanted.
func (m *catalogue) follow(ctx context.Context) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	for s, stop := range m.running {
		if !m.c.wanted[s] {
			stop()
			delete(m.running, s)
			delete(m.c.services, s)
		}
	}
	for s := range m.c.wanted {
		if m.running[s] != nil {
			continue
		}
		own, stop := context.WithCancel(ctx)
		m.running[s], m.c.services[s] = stop, &standing{}
		w := m.watch(s, m.c.services[s])
		m.watches.Go(func() { defer stop(); w.run(own) })
	}
}

func (m *catalogue) watch(s Service, at *standing) watch {
	one := &serviceWatch{m: m, service: s}
	return watch{
		c: m.c, log: m.c.log.With("watch", "service "+s.String()), standing: at,
		paces: []*pace{{gap: flapping}, m.c.all}, ask: one.ask,
	}
}

type serviceWatch struct {
	m       *catalogue
	service Service
	last    []Instance // what was emitted
	left    string     // the last complaint of an instance that cannot be used
}

func (w *serviceWatch) ask(ctx context.Context, q *api.QueryOptions) (*api.QueryMeta, string, error) {
	s := w.service
	q.Datacenter, q.Near = s.Datacenter, s.Near
	entries, meta, err := w.m.c.client.Health().ServiceMultipleTags(s.Name, s.Tags.list(), s.PassingOnly, q)
	if err == nil {
		err = believable(meta)
	}
	if err != nil {
		return nil, "", err
	}
	now, left := instances(entries)
	if left != "" && left != w.left {
		w.m.c.log.Warn("an instance in Consul's catalogue cannot be used", "service", s.String(), "reason", left)
	}
	w.left = left
	if s.Near == "" {
		now = sorted(now)
	}
	switch {
	case len(now) == 0:
		return meta, w.empty(), nil
	case sameMembers(w.last, now):
		return meta, "", nil
	}
	w.last = now
	w.m.emitMu.Lock()
	defer w.m.emitMu.Unlock()
	if ctx.Err() == nil { // else it may be wanted no more
		w.m.emit(s, now)
	}
	return meta, "", nil
}

// empty says why nothing is emitted.
func (w *serviceWatch) empty() string {
	what := "instance"
	if w.service.PassingOnly {
		what = "passing instance"
	}
	if w.last == nil {
		return fmt.Sprintf("the catalogue has no %s of %s yet", what, w.service)
	}
	return fmt.Sprintf("the catalogue has no %s of %s any more; the last %d are kept", what, w.service, len(w.last))
}
