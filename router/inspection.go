package router

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"

	"mlproxy/config"
	"mlproxy/protocol"
)

// Inspection says how a route's exchanges are looked into.
type Inspection struct {
	Adapter protocol.Adapter
	MaxBody int64   // bytes of either body that are copied
	Share   float64 // of the exchanges
}

// newAdapter is nil when the route does not say what its bodies are.
func newAdapter(cfg *config.Route) (protocol.Adapter, error) {
	if cfg.Protocol == "" {
		return nil, nil
	}
	adapter, err := protocol.New(cfg.Protocol, &protocol.Extract{
		Request: protocol.ExtractRequest(cfg.Extract.Request), Response: protocol.ExtractResponse(cfg.Extract.Response),
	})
	if cfg.Protocol == "none" {
		return nil, err
	}
	return adapter, err
}

// newInspection is nil when the route's bodies are not looked into.
func newInspection(r *Route) *Inspection {
	if inspect := r.Config.Inspect; r.Adapter != nil && inspect.Sample > 0 {
		return &Inspection{Adapter: r.Adapter, MaxBody: inspect.MaxBody, Share: inspect.Sample}
	}
	return nil
}

// Sample decides whether this exchange is inspected. As with [Shadow.Sample] the draw has nothing to do with assignments, nor with
// other draws.
func (i *Inspection) Sample() bool { return rand.Float64() < i.Share }

// bindAdapters gives the routes what reads their bodies.
func bindAdapters(cfg *config.Config, routes []*Route) (faults config.Faults) {
	for _, r := range routes {
		var err error
		r.Adapter, err = newAdapter(r.Config)
		if wrong := protocol.ExtractFaults(nil); errors.As(err, &wrong) {
			faults = append(faults, extractFaults(cfg, r.Name, wrong)...)
		} else if err != nil {
			at := "routes." + r.Name + ".protocol"
			faults = append(faults, cfg.Fault(at, fmt.Sprintf("%s is %s, which cannot be read: %v", at, r.Config.Protocol, err),
				"write none, or another protocol"))
		}
	}
	return faults
}

func extractFaults(cfg *config.Config, route string, wrong protocol.ExtractFaults) (faults config.Faults) {
	for _, w := range wrong {
		at := "routes." + route + ".extract." + w.Key
		faults = append(faults, cfg.Fault(at, at+" "+w.Problem, w.Remedy))
	}
	return faults
}

// keepAdapter goes on with the adapter of the table before, and with what it learned, if bodies are still read in the same way.
func (r *Route) keepAdapter(before *Table) {
	if before == nil || r.Adapter == nil {
		return
	}
	for _, old := range before.routes {
		if old.Name == r.Name && old.Config.Protocol == r.Config.Protocol && reflect.DeepEqual(old.Config.Extract, r.Config.Extract) {
			r.Adapter = old.Adapter
		}
	}
}

// inspected are the versions whose exchanges are looked into.
func (t *Table) inspected() map[identity]bool {
	set := map[identity]bool{}
	for _, r := range t.routes {
		if r.Inspection != nil {
			maps.Copy(set, identities(r))
		}
	}
	return set
}

// identities are all versions of the route, those of its failover included.
func identities(r *Route) map[identity]bool {
	set := map[identity]bool{}
	for _, v := range slices.Concat(r.Versions, r.Failover) {
		set[identity{r.Name, v.Pool.Name}] = true
	}
	return set
}
