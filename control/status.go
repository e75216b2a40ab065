package control

import (
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// Status is what is in force, for people and programs to look at.
type Status struct {
	Revision
	// Reload is what became of the last reading of the config file.
	Reload Reload `json:"reload"`
	// Routes by name.
	Routes map[string]RouteStatus `json:"routes"`
	// Pools by name.
	Pools map[string]PoolStatus `json:"pools"`
	// Consul is how what Consul says is doing; absent when it is not asked.
	Consul *ConsulStatus `json:"consul,omitempty"`
	// Memory is about the overrides that a restart brings back.
	Memory Memory `json:"memory"`
}

// Memory says where overrides are kept over a restart, and what is wrong with that.
type Memory struct {
	// File holds them.
	File string `json:"file"`
	// Fault is why the last change of them could not be written; empty when it was.
	Fault string `json:"fault,omitempty"`
	// Dropped is what was there at the start and could not be in force again, one line each.
	Dropped []string `json:"dropped,omitempty"`
}

// Reload is what became of the last reading of the config file.
type Reload struct {
	OK bool      `json:"ok"`
	At time.Time `json:"at"`
	// Faults is everything that was wrong, one line each; empty when OK.
	Faults []string `json:"faults,omitempty"`
}

// RouteStatus is one route. Split, or BlueGreen and Active, have the form in which the API takes them.
type RouteStatus struct {
	Match     MatchStatus      `json:"match"`
	Split     config.Weights   `json:"split,omitempty"`
	BlueGreen *BlueGreenStatus `json:"blue_green,omitempty"`
	Active    string           `json:"active,omitempty"`
	// Share is the configured share of each pool, 0..1.
	Share map[string]float64 `json:"share"`
	// InFlight counts the exchanges of each pool on this route.
	InFlight map[string]int64 `json:"in_flight"`
	// Origin is the layer that had the last word on the split or the active pool.
	Origin string `json:"origin"`
	// Key and Index are of the key in Consul that said it, if one did.
	Key   string `json:"key,omitempty"`
	Index uint64 `json:"index,omitempty"`
	// Masked is the last change beneath that word which has no effect, if there was one.
	Masked *MaskStatus `json:"masked,omitempty"`
	// Override tells of the operator's word, if it had the last.
	Override *OverrideStatus `json:"override,omitempty"`
	// Shadow is the share of requests copied to each shadow, 0..1.
	Shadow map[string]float64 `json:"shadow,omitempty"`
}

// MatchStatus says which requests a route is for; what is absent may be anything.
type MatchStatus struct {
	Path    string            `json:"path,omitempty"`
	Hosts   []string          `json:"hosts,omitempty"`
	Methods []string          `json:"methods,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Model   string            `json:"model,omitempty"`
}

// BlueGreenStatus names the two pools, and which was active before, if there was a switch.
type BlueGreenStatus struct {
	Blue     string `json:"blue"`
	Green    string `json:"green"`
	Previous string `json:"previous,omitempty"`
	// Pending is the switch that waits for its pool, if there is one.
	Pending *PendingStatus `json:"pending,omitempty"`
}

// Said is who said something: a layer, and if it is from Consul its key and that key's modify index.
type Said struct {
	Origin string `json:"origin"`
	Key    string `json:"key,omitempty"`
	Index  uint64 `json:"index,omitempty"`
}

// Words are as one speaks of it: "the config file", or "consul mlproxy/routes/iris/split @1234".
func (s Said) Words() string { return layerOf(config.Source(s)) }

// PendingStatus is a switch that nobody waits for, and that is made once its pool can be reached.
type PendingStatus struct {
	Said
	Active string    `json:"active"`
	Pool   string    `json:"pool"`
	Since  time.Time `json:"since"`
	// Why it was not made at once.
	Why string `json:"why"`
}

// MaskStatus is a change of a route that has no effect, because a layer above has the say.
type MaskStatus struct {
	Said
	Split  config.Weights `json:"split,omitempty"`
	Active string         `json:"active,omitempty"`
	Since  time.Time      `json:"since"`
	// Remedy is how it comes into force.
	Remedy string `json:"remedy"`
}

// OverrideStatus is an override and what is beneath it, said by whom.
type OverrideStatus struct {
	config.Override
	MaskedSplit  config.Weights `json:"masked_split,omitempty"`
	MaskedActive string         `json:"masked_active,omitempty"`
	Beneath      Said           `json:"beneath"`
}

// PoolStatus is one pool.
type PoolStatus struct {
	Balance   string           `json:"balance"`
	Endpoints []EndpointStatus `json:"endpoints"`
	// Drained tells who has drained it, if somebody has.
	Drained *config.Override `json:"drained,omitempty"`
}

// EndpointStatus is one model server.
type EndpointStatus struct {
	URL      string `json:"url"`
	InFlight int64  `json:"in_flight"`
	// Fit says whether it may get requests: its breaker lets them pass and no probe speaks against it.
	Fit bool `json:"fit"`
	// Breaker is closed, half-open or open.
	Breaker string `json:"breaker"`
	// Probe is off, waiting, up or down.
	Probe string `json:"probe"`
	// Since and Why are of the last change of any of these.
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
	// Drained tells who has drained it, if somebody has: then it gets no requests, however fit it is.
	Drained *config.Override `json:"drained,omitempty"`
}

// Status is a snapshot of what is in force; nil before Begin.
func (l *Loop) Status() *Status {
	s := l.state.Load()
	if s == nil {
		return nil
	}
	status := &Status{
		Revision: s.revision, Reload: s.reload, Memory: s.memory, Routes: map[string]RouteStatus{}, Pools: map[string]PoolStatus{},
		Consul: l.consulStatus(s),
	}
	for _, r := range s.table.Routes() {
		status.Routes[r.Name] = s.routeStatus(r)
	}
	for _, p := range s.table.Pools() {
		status.Pools[p.Name] = s.poolStatus(p)
	}
	return status
}

// Config is the config in force, the operator's overrides included; nil before Begin. It must not be changed.
func (l *Loop) Config() *config.Config {
	if s := l.state.Load(); s != nil {
		return s.table.Config()
	}
	return nil
}

func (s *state) routeStatus(r *router.Route) RouteStatus {
	c := r.Config
	status := RouteStatus{
		Match: MatchStatus(c.Match.Redacted()), Split: c.Split, Origin: c.Origin, Key: c.Key, Index: c.Index,
		Share: map[string]float64{}, InFlight: map[string]int64{}, Override: s.overrideStatus(c.Name), Masked: s.maskStatus(c.Name),
	}
	if b := c.BlueGreen; b != nil {
		status.Active = b.Active
		status.BlueGreen = &BlueGreenStatus{Blue: b.Blue, Green: b.Green, Previous: s.previous[c.Name].Active, Pending: s.pending(c.Name)}
	}
	for _, v := range r.Versions {
		status.Share[v.Pool.Name], status.InFlight[v.Pool.Name] = v.Share, v.Meter.InFlight()
	}
	if len(c.Shadow) > 0 {
		status.Shadow = map[string]float64{}
	}
	for name, shadow := range c.Shadow {
		status.Shadow[name] = shadow.Sample
	}
	return status
}

// pending is the switch that the route waits for, if there is one.
func (s *state) pending(route string) *PendingStatus {
	h, is := s.held[route]
	if !is {
		return nil
	}
	return &PendingStatus{Said: Said(h.by), Active: h.wanted, Pool: h.to, Since: h.since, Why: h.why}
}

// maskStatus is nil when nothing is hidden.
func (s *state) maskStatus(route string) *MaskStatus {
	m, is := s.hidden(route)
	if !is {
		return nil
	}
	return &MaskStatus{Said: Said(m.from), Split: m.says.Split, Active: m.says.Active, Since: m.since, Remedy: m.remedy()}
}

func (s *state) overrideStatus(route string) *OverrideStatus {
	o, ok := s.overrides().Routes[route]
	if !ok {
		return nil
	}
	below := s.base.Routes[route]
	said := choice(below)
	return &OverrideStatus{Override: o, MaskedSplit: said.Split, MaskedActive: said.Active, Beneath: Said(below.Source)}
}

func (s *state) poolStatus(p *router.Pool) PoolStatus {
	status := PoolStatus{Balance: s.base.Pools[p.Name].Balance, Endpoints: make([]EndpointStatus, len(p.Endpoints))}
	for i, e := range p.Endpoints {
		c := e.Health().Condition()
		status.Endpoints[i] = EndpointStatus{
			URL: e.URL(), InFlight: e.InFlight(), Fit: c.Fit, Breaker: c.Breaker, Probe: c.Probe, Since: c.Since, Why: c.Why,
			Drained: s.drained(e.URL()),
		}
	}
	status.Drained = s.drained(p.Name)
	return status
}

// drained tells who has drained a pool or an endpoint; nil when nobody has.
func (s *state) drained(name string) *config.Override {
	if o, is := s.said.Drained[name]; is {
		return &o
	}
	return nil
}

// Overrides are all that operators have said and not taken back. They must not be changed.
func (l *Loop) Overrides() Overrides { return l.state.Load().overrides() }
