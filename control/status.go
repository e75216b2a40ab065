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
}

// OverrideStatus is whose override it is, since when, and what the config file says beneath it.
type OverrideStatus struct {
	Author string         `json:"author"`
	Reason string         `json:"reason,omitempty"`
	Since  time.Time      `json:"since"`
	Split  config.Weights `json:"masked_split,omitempty"`
	Active string         `json:"masked_active,omitempty"`
}

// PoolStatus is one pool.
type PoolStatus struct {
	Balance   string           `json:"balance"`
	Endpoints []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is one model server.
type EndpointStatus struct {
	URL      string `json:"url"`
	InFlight int64  `json:"in_flight"`
}

// Status is a snapshot of what is in force; nil before Begin.
func (l *Loop) Status() *Status {
	s := l.state.Load()
	if s == nil {
		return nil
	}
	status := &Status{Revision: s.revision, Reload: s.reload, Routes: map[string]RouteStatus{}, Pools: map[string]PoolStatus{}}
	for _, r := range s.table.Routes() {
		status.Routes[r.Name] = s.routeStatus(r)
	}
	for _, p := range s.table.Pools() {
		status.Pools[p.Name] = poolStatus(p, s.table.Config().Pools[p.Name])
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
		Match: MatchStatus(c.Match), Split: c.Split, Origin: c.Origin,
		Share: map[string]float64{}, InFlight: map[string]int64{}, Override: s.overrideStatus(c.Name),
	}
	if b := c.BlueGreen; b != nil {
		status.Active = b.Active
		status.BlueGreen = &BlueGreenStatus{Blue: b.Blue, Green: b.Green, Previous: s.previous[c.Name].Active}
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

func (s *state) overrideStatus(route string) *OverrideStatus {
	o, ok := s.operator[route]
	if !ok {
		return nil
	}
	below := choice(s.file.Routes[route])
	return &OverrideStatus{Author: o.Author, Reason: o.Reason, Since: o.Since, Split: below.Split, Active: below.Active}
}

func poolStatus(p *router.Pool, c *config.Pool) PoolStatus {
	status := PoolStatus{Balance: c.Balance, Endpoints: make([]EndpointStatus, len(p.Endpoints))}
	for i, e := range p.Endpoints {
		status.Endpoints[i] = EndpointStatus{URL: e.URL(), InFlight: e.InFlight()}
	}
	return status
}
