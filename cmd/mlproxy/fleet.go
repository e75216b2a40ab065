package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/monitor"
	"mlproxy/source"
)

// membership is this proxy's part in a fleet that shares its config by Consul; nil without Consul.
type membership struct {
	consul  *source.Consul
	loop    *control.Loop
	self    control.Instance
	applied chan control.Revision // the last that came into force, if it is not told yet
}

// newFleet joins the loop to Consul, if the config has one. It is called before the loop begins.
func (p *program) newFleet(c *config.Config, version string) error {
	if c.Consul == nil {
		return nil
	}
	consul, err := source.NewConsul(source.ConsulOptions{
		Address: c.Consul.Address, Prefix: c.Consul.Prefix, Token: tokenIn(c.Consul.TokenFile), Log: p.log,
	})
	if err != nil {
		return invalid(err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p.fleet = &membership{
		consul: consul, loop: p.loop, applied: make(chan control.Revision, 1),
		self: control.Instance{ID: fmt.Sprintf("%s-%d", host, os.Getpid()), Version: version},
	}
	p.loop.Share(consul, c.Consul.Prefix)
	p.loop.Applied = p.fleet.note
	p.estate.Registry.WatchConsul(p.fleet.health)
	return nil
}

// tokenIn reads a token anew whenever it is asked for; nil without a file.
func tokenIn(file string) func() (string, error) {
	if file == "" {
		return nil
	}
	return func() (string, error) {
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err
	}
}

// note keeps the last revision to be told; it never waits.
func (f *membership) note(r control.Revision) {
	select {
	case <-f.applied:
	default:
	}
	f.applied <- r
}

// run listens to Consul, and tells the fleet what is in force here, until ctx ends.
func (f *membership) run(ctx context.Context, parts *group) {
	parts.Go(func() error { return f.consul.WatchKeys(ctx, f.loop.Hear) })
	parts.Go(func() error { return f.consul.WatchCatalogue(ctx, f.loop.Find) })
	told := make(chan []byte)
	parts.Go(func() error { return f.consul.Publish(ctx, f.self.ID, told) })
	parts.Go(func() error { f.tell(ctx, told); return nil })
}

// tell hands on every revision, in the form the others read.
func (f *membership) tell(ctx context.Context, to chan<- []byte) {
	for {
		select {
		case r := <-f.applied:
			f.self.Digest, f.self.Applied = r.Digest, r.Applied
		case <-ctx.Done():
			return
		}
		text, err := json.Marshal(f.self)
		if err != nil {
			continue // it has only values that JSON can hold
		}
		select {
		case to <- text:
		case <-ctx.Done():
			return
		}
	}
}

// health is what the metrics show. A service that never answered has been silent since the start.
func (f *membership) health() monitor.ConsulHealth {
	status := f.loop.Consul()
	if status == nil {
		return monitor.ConsulHealth{}
	}
	h := monitor.ConsulHealth{Contact: orStart(status.Contact), Valid: map[string]bool{}}
	for _, s := range status.Services {
		if at := orStart(s.Contact); at.Before(h.Contact) {
			h.Contact = at
		}
	}
	for key, k := range status.Keys {
		if k.Known {
			h.Valid[key] = k.Valid
		}
	}
	return h
}

var started = time.Now()

func orStart(t time.Time) time.Time {
	if t.IsZero() {
		return started
	}
	return t
}
