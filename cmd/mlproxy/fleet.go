package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/netip"
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
	// register is how this proxy stands in the catalogue itself; nil = not at all.
	register *config.Registration
	leaving  func() // takes it out again, and returns when that is done
}

// newFleet joins the loop to Consul, if the config has one. It is called before the loop begins.
func (p *program) newFleet(c *config.Config, version string) error {
	if c.Consul == nil {
		return nil
	}
	consul, err := source.NewConsul(source.ConsulOptions{
		Address: c.Consul.Address, Prefix: c.Consul.Prefix, Log: p.log,
		Token: tokenIn(c.Consul.TokenFile), Authorities: authoritiesIn(c.Consul.CAFile),
	})
	if err != nil {
		return invalid(err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p.fleet = &membership{
		consul: consul, loop: p.loop, applied: make(chan control.Revision, 1), register: c.Consul.Register, leaving: func() {},
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

// authoritiesIn reads a file of certificates anew whenever they are asked for; nil without a file.
func authoritiesIn(file string) func() (*x509.CertPool, error) {
	if file == "" {
		return nil
	}
	return func() (*x509.CertPool, error) { return config.LoadAuthorities(file) }
}

// note keeps the last revision to be told; it never waits.
func (f *membership) note(r control.Revision) {
	select {
	case <-f.applied:
	default:
	}
	f.applied <- r
}

// run listens to Consul, and tells the fleet what is in force here, until ctx ends. admin is where this proxy is asked and steered.
func (f *membership) run(ctx context.Context, admin string, parts *group) {
	f.self.Admin = admin
	parts.Go(func() error { return f.consul.WatchKeys(ctx, f.loop.Hear) })
	parts.Go(func() error { return f.consul.WatchCatalogue(ctx, f.loop.Find) })
	told := make(chan []byte)
	parts.Go(func() error { return f.consul.Publish(ctx, f.self.ID, told) })
	parts.Go(func() error { f.tell(ctx, told); return nil })
}

// join has the proxy stand in the catalogue, at the address of a data listener, until leaving is called. ready says whether it can serve.
func (f *membership) join(address string, ready func() error) {
	at, err := netip.ParseAddrPort(address)
	if f.register == nil || err != nil {
		return
	}
	r := source.Registration{ID: f.register.Name + "-" + f.self.ID, Name: f.register.Name, Tags: f.register.Tags, Port: int(at.Port())}
	if !at.Addr().IsUnspecified() { // else it is the node's
		r.Address = at.Addr().String()
	}
	r.Healthy = func() (bool, string) {
		if err := ready(); err != nil {
			return false, err.Error()
		}
		return true, ""
	}
	ctx, stop := context.WithCancel(context.Background())
	gone := newGroup()
	gone.Go(func() error { return f.consul.Register(ctx, r) })
	f.leaving = func() { stop(); _ = gone.Wait() }
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

// otherKeys is what the metrics call keys that mlproxy does not know: whoever can write one must not add series.
const otherKeys = "other"

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
		if !k.Known {
			key = otherKeys
		}
		h.Valid[key] = k.Valid
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
