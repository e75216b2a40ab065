package source

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"
)

// Instance is one member of a service.
type Instance struct {
	Address  string  // host:port; the node's address if the service has none of its own
	Scheme   string  // http or https, from the service's meta "scheme"; http if it does not say
	Weight   float64 // from the service's weights, for its present health; above 0
	ID, Node string
}

// instances are the usable ones of an answer, in its order, each address once. left says why one was left out, if one was.
func instances(entries []*api.ServiceEntry) (list []Instance, left string) {
	seen := map[string]bool{}
	for _, e := range entries {
		if e == nil || e.Service == nil || e.Node == nil || slices.Contains(e.Checks, nil) || e.Checks.AggregatedStatus() == api.HealthMaint {
			continue
		}
		i, err := instance(e)
		switch {
		case err != nil:
			left = err.Error()
		case !seen[i.Address]:
			seen[i.Address] = true
			list = append(list, i)
		}
	}
	return list, left
}

func instance(e *api.ServiceEntry) (Instance, error) {
	i := Instance{ID: e.Service.ID, Node: e.Node.Node, Scheme: cmp.Or(e.Service.Meta["scheme"], "http")}
	host := cmp.Or(e.Service.Address, e.Node.Address)
	if host == "" || e.Service.Port < 1 || e.Service.Port > 65535 {
		return i, fmt.Errorf("%s at %s has no usable address (%q, port %d)", i.ID, i.Node, host, e.Service.Port)
	}
	if i.Scheme != "http" && i.Scheme != "https" {
		return i, fmt.Errorf("%s at %s has meta scheme %q; write http or https", i.ID, i.Node, i.Scheme)
	}
	i.Address = net.JoinHostPort(host, strconv.Itoa(e.Service.Port))
	weight := e.Service.Weights.Passing
	if e.Checks.AggregatedStatus() == api.HealthWarning {
		weight = e.Service.Weights.Warning
	}
	i.Weight = float64(max(weight, 1))
	return i, nil
}

// sameMembers says whether two lists hold the same, in whatever order: what is nearest changes with every measurement, and alone is no
// news.
func sameMembers(a, b []Instance) bool {
	return slices.Equal(sorted(a), sorted(b))
}

func sorted(list []Instance) []Instance {
	return slices.SortedFunc(slices.Values(list), func(a, b Instance) int { return cmp.Compare(a.Address, b.Address) })
}
