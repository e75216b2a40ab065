package router

import (
	"mlproxy/config"
	"mlproxy/upstream"
)

// optionsOf is what a pool's config says to package upstream.
func optionsOf(cfg *config.Pool) *upstream.Options {
	return &upstream.Options{
		ConnectTimeout: cfg.ConnectTimeout,
		MaxConnections: cfg.MaxConnections,
		MaxInFlight:    cfg.MaxInFlight,
		Queue:          upstream.Queue{Size: cfg.Queue.Size, Timeout: cfg.Queue.Timeout},
		Breaker:        breakerOf(&cfg.Breaker),
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
func checkOf(pool *config.Pool, role upstream.Role) *upstream.Check {
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
	}
}
