package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"
)

// Registration is this process as a member of a service in Consul's catalogue.
type Registration struct {
	ID, Name string
	Tags     []string
	Address  string // host that others reach it by; empty = the node's
	Port     int
	// Healthy says whether it can serve, and if not, why. nil = always. It must not block.
	Healthy func() (ok bool, why string)
}

// Register keeps r registered with the agent, passing while it is healthy, until ctx ends; it has been deregistered when Register returns,
// if Consul could be told. It comes back by itself after Consul was away or emptied. When the process dies the check fails within
// [ConsulOptions.SessionTTL], and Consul forgets the instance after some minutes.
func (c *Consul) Register(ctx context.Context, r Registration) error {
	trials := effort{log: c.log, what: "register this instance"}
	for ctx.Err() == nil {
		_ = sleep(ctx, trials.after(ctx, c.pass(ctx, r), c.options.SessionTTL/3)) // ctx ends the loop
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	err := c.client.Agent().ServiceDeregisterOpts(r.ID, new(api.QueryOptions).WithContext(ctx))
	if err != nil && !unknown(err) {
		c.log.Warn("cannot deregister this instance in Consul; its check will fail soon", "error", plain(err))
	}
	return nil
}

// pass tells the agent how we are; an agent that does not know us is told who we are first.
func (c *Consul) pass(ctx context.Context, r Registration) error {
	ctx, cancel := c.briefly(ctx)
	defer cancel()
	status, why := api.HealthPassing, ""
	if r.Healthy != nil {
		if ok, words := r.Healthy(); !ok {
			status, why = api.HealthCritical, words
		}
	}
	update := func() error {
		return c.client.Agent().UpdateTTLOpts(r.check(), why, status, new(api.QueryOptions).WithContext(ctx))
	}
	err := update()
	if !unknown(err) {
		return plain(err)
	}
	if err := c.introduce(ctx, r); err != nil {
		return plain(err)
	}
	return plain(update())
}

func (c *Consul) introduce(ctx context.Context, r Registration) error {
	return c.client.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
		ID: r.ID, Name: r.Name, Tags: r.Tags, Address: r.Address, Port: r.Port,
		Check: &api.AgentServiceCheck{
			CheckID: r.check(), Name: "mlproxy says it is ready", TTL: c.options.SessionTTL.String(),
			DeregisterCriticalServiceAfter: (10 * time.Minute).String(),
		},
	}, api.ServiceRegisterOpts{}.WithContext(ctx))
}

func (r Registration) check() string { return fmt.Sprintf("mlproxy:%s", r.ID) }

// unknown says whether the agent does not know what it was asked about.
func unknown(err error) bool {
	status, ok := errors.AsType[api.StatusError](err)
	return ok && status.Code == http.StatusNotFound
}
