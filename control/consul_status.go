package control

import "time"

// ConsulStatus is how what Consul says is doing.
type ConsulStatus struct {
	// Contact is when Consul last answered with all keys; zero = never.
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
	// Known says that the key is the document, or speaks of a route that there is.
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
		Contact: contact.Keys.Last, Stale: contact.Keys.Stale, Refused: s.refused, Keys: map[string]KeyStatus{}, Services: map[string]ServiceStatus{},
	}
	for name, k := range s.remote.keys {
		_, known := s.base.Routes[routeOf(name)]
		about := KeyStatus{Index: k.index, Valid: k.fault == "", Fault: k.fault, Since: k.since, Known: known || name == documentKey}
		if k.fault != "" {
			about.InForce = k.inForce()
		}
		status.Keys[l.prefix+"/"+name] = about
	}
	for service, standing := range contact.Services {
		status.Services[service.String()] = ServiceStatus{Contact: standing.Last, Stale: standing.Stale, Instances: len(s.found[service])}
	}
	return status
}

// Consul is how what Consul says is doing; nil when it is not asked.
func (l *Loop) Consul() *ConsulStatus { return l.consulStatus(l.state.Load()) }
