package control

import (
	"fmt"
	"time"

	"mlproxy/source"
)

// ConsulStatus is how what Consul says is doing.
type ConsulStatus struct {
	// Contact is as of when the keys are; zero = Consul has never told them.
	Contact time.Time `json:"contact,omitzero"`
	// Stale says why what is in force is not what Consul says now; empty when it is.
	Stale string `json:"stale,omitempty"`
	// Keys by full name.
	Keys map[string]KeyStatus `json:"keys,omitempty"`
	// Services of the catalogue that pools take their endpoints from.
	Services map[string]ServiceStatus `json:"services,omitempty"`
	// Refused are endpoints of the catalogue that may not be used, and why.
	Refused map[string]string `json:"refused,omitempty"`
}

// KeyStatus is one key.
type KeyStatus struct {
	Index uint64 `json:"index"`
	Valid bool   `json:"valid"`
	// Fault is what is wrong with the value, and what would be right; InForce what is in force instead.
	Fault   string `json:"fault,omitempty"`
	InForce string `json:"in_force,omitempty"`
	// Since is when the value came.
	Since time.Time `json:"since"`
	// Known says that the key is one that mlproxy reads, and if it speaks of a route, that there is such a route.
	Known bool `json:"-"`
}

// ServiceStatus is one service of the catalogue.
type ServiceStatus struct {
	Contact time.Time `json:"contact,omitzero"`
	Stale   string    `json:"stale,omitempty"`
	// Instances is how many there are, whether they may be used or not.
	Instances int `json:"instances"`
}

// consulStatus is nil when Consul is not asked.
func (l *Loop) consulStatus(s *state) *ConsulStatus {
	if l.consul == nil {
		return nil
	}
	contact := l.consul.Contact()
	status := &ConsulStatus{
		Refused: s.refused, Keys: map[string]KeyStatus{}, Services: map[string]ServiceStatus{},
	}
	heard := func(standing source.Standing) (at time.Time, stale string) {
		return heardFrom(standing, contact.Last, time.Now())
	}
	status.Contact, status.Stale = heard(contact.Keys)
	for name, k := range s.remote.keys {
		about := KeyStatus{Index: k.index, Valid: k.fault == "", Fault: k.fault, Since: k.since, Known: s.knows(name)}
		if k.fault != "" {
			about.InForce = k.inForce()
		}
		status.Keys[l.prefix+"/"+name] = about
	}
	for service, standing := range contact.Services {
		about := ServiceStatus{Instances: len(s.found[service])}
		about.Contact, about.Stale = heard(standing)
		if late, is := s.late[service]; is && about.Stale == "" {
			about.Stale = "what the catalogue says cannot be in force; the instances of before are kept: " + late.why
		}
		status.Services[service.String()] = about
	}
	return status
}

// knows says whether a key is one that is read.
func (s *state) knows(key string) bool {
	_, routed := s.base.Routes[routeOf(key)]
	return key == documentKey || routed && reader(key) != nil
}

// silence is how long Consul may say nothing at all. A member of a fleet renews its session, and so asks for an answer, every few seconds.
const silence = 12 * time.Second

// heardFrom says as of when an answer is, and why it may not be what Consul says now. A question that waits for news was heard when Consul
// last spoke of anything: until then it would have told.
func heardFrom(answer source.Standing, spoke, now time.Time) (at time.Time, stale string) {
	if answer.Stale != "" || answer.Last.IsZero() {
		return answer.Last, answer.Stale
	}
	if at = spoke; at.Before(answer.Last) {
		at = answer.Last
	}
	if quiet := now.Sub(at); quiet > silence {
		stale = fmt.Sprintf("Consul has said nothing for %v, and the last that it said is kept", quiet.Truncate(time.Second))
	}
	return at, stale
}

// Consul is how what Consul says is doing; nil when it is not asked.
func (l *Loop) Consul() *ConsulStatus { return l.consulStatus(l.state.Load()) }
