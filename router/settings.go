package router

import (
	"net/netip"
	"slices"

	"mlproxy/config"
	"mlproxy/upstream"
)

// optionsOf is what a pool's config says to package upstream.
func optionsOf(cfg *config.Pool, tls upstream.Trust) *upstream.Options {
	return &upstream.Options{
		ConnectTimeout: cfg.ConnectTimeout,
		MaxConnections: cfg.MaxConnections,
		MaxInFlight:    cfg.MaxInFlight,
		Queue:          upstream.Queue{Size: cfg.Queue.Size, Timeout: cfg.Queue.Timeout},
		Breaker:        breakerOf(&cfg.Breaker),
		TLS:            tls,
	}
}

func breakerOf(cfg *config.Breaker) upstream.Breaker {
	return upstream.Breaker{
		ConsecutiveFailures: uint32(cfg.ConsecutiveFailures),
		FailureRatio:        cfg.FailureRatio,
		MinRequests:         uint32(cfg.MinRequests),
		Window:              cfg.Window,
		OpenFor:             cfg.OpenFor,
		HalfOpenRequests:    uint32(cfg.HalfOpenRequests),
		FailureStatus:       cfg.FailureStatus,
	}
}

// checkOf is how a pool's endpoints are probed; nil = not at all. Nothing probes on behalf of copies: what becomes of them is
// evidence enough, and a model server on trial is not asked twice.
func checkOf(pool *config.Pool, role upstream.Role, tls upstream.Trust) *upstream.Check {
	cfg := pool.HealthCheck
	if cfg == nil || role == upstream.Copies {
		return nil
	}
	return &upstream.Check{
		Path:        cfg.Path,
		Method:      cfg.Method,
		Host:        pool.Host,
		Interval:    cfg.Interval,
		Timeout:     cfg.Timeout,
		Rise:        cfg.Rise,
		Fall:        cfg.Fall,
		Status:      cfg.Status,
		Body:        []byte(cfg.Body),
		ContentType: cfg.ContentType,
		Expect:      cfg.Expect,
		TLS:         tls,
	}
}

// knockOf is how an endpoint that requests took out is asked before one of them is risked on it; nil = not at all. There is no
// need to where nobody else could serve meanwhile, for then requests are sent to it whatever is known of it.
func knockOf(pool string, all *config.Config, role upstream.Role, tls upstream.Trust) *upstream.Knock {
	cfg := all.Pools[pool]
	if !cfg.Breaker.ProbeFirst || role == upstream.Copies || len(cfg.Endpoints) == 1 && !hasFailover(pool, all) {
		return nil
	}
	return &upstream.Knock{Host: cfg.Host, TLS: tls}
}

// hasFailover says whether a route that uses the pool has others to go to.
func hasFailover(pool string, all *config.Config) bool {
	for _, r := range all.Routes {
		if r.Serving()[pool] && slices.ContainsFunc(r.Failover, func(other string) bool { return other != pool }) {
			return true
		}
	}
	return false
}

// restriction is where an endpoint may be connected to; nil = anywhere.
func restriction(of *config.Config, e *config.Endpoint) func(netip.AddrPort) error {
	if !e.Foreign {
		return nil
	}
	return of.EndpointPolicy().Permit(e.URL)
}
