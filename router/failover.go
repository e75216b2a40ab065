package router

import "mlproxy/monitor"

// bindFailover gives the route the pools that step in.
func (r *Route) bindFailover(e *Estate, pools map[string]*Pool) {
	for _, name := range r.Config.Failover {
		to := r.Force([]byte(name))
		if to == nil {
			to = r.version(e, pools[name], 0)
		}
		r.Failover = append(r.Failover, to)
	}
	for _, from := range r.Versions {
		for _, to := range r.Failover {
			var count *monitor.Failover
			if from != to {
				count = e.Registry.Failover(r.Name, from.Pool.Name, to.Pool.Name)
			}
			from.failovers = append(from.failovers, count)
		}
	}
}

// Serving is the version that serves a request for which v was chosen: v as long as its pool has fit endpoints, or some that wait
// for their first probe; else the first of Failover that has; else v again, for better or worse (panic).
func (r *Route) Serving(v *Version) *Version {
	if len(r.Failover) == 0 || v.Pool.Serves() {
		return v
	}
	for _, other := range r.Failover {
		if other.Pool.Serves() {
			return other
		}
	}
	return v
}

// FailedOver counts that to served a request for which from was chosen, and charges from with it.
func (r *Route) FailedOver(from, to *Version) {
	for i, other := range r.Failover {
		if other == to && from.failovers[i] != nil {
			from.failovers[i].Count()
			from.Meter.Error(monitor.NoHealthyEndpoint)
		}
	}
}

// step is one that a route's traffic may take from pool to pool.
type step struct{ route, from, to string }

func (t *Table) failovers() map[step]bool {
	set := map[step]bool{}
	for _, r := range t.routes {
		for _, from := range r.Versions {
			for _, to := range r.Failover {
				set[step{r.Name, from.Pool.Name, to.Pool.Name}] = true
			}
		}
	}
	return set
}
