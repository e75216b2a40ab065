package source

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// fleet is the full name of a key of the fleet's own, outside the watched prefix.
func (c *Consul) fleet(name string) string { return c.options.Prefix + "-fleet/" + name }

// Publish shows the latest of values to the fleet as the instance id (one path segment, this process's alone), from the first value
// until ctx ends. It comes back by itself after Consul was away, was emptied, or lost the session; when the process dies, Consul
// removes it within twice [ConsulOptions.SessionTTL].
func (c *Consul) Publish(ctx context.Context, id string, values <-chan []byte) error {
	p := publication{
		c: c, key: c.fleet("instances/" + id), pace: &pace{gap: time.Second / 2},
		session: session{c: c, behavior: api.SessionBehaviorDelete},
	}
	defer p.session.close(ctx)
	trials := effort{log: c.log, what: "publish this instance"}
	var again <-chan time.Time // nil before the first value
	for {
		select {
		case <-ctx.Done():
			return nil
		case v, open := <-values:
			if !open {
				values = nil
				continue
			}
			p.value = latest(v, values)
		case <-again:
		}
		if err := p.pace.wait(ctx); err == nil {
			again = time.After(trials.after(ctx, p.try(ctx), c.options.SessionTTL/3))
		}
	}
}

// Instances are what all live instances show to the fleet now, by id. Errors: ErrForbidden, ErrUnreachable.
func (c *Consul) Instances(ctx context.Context) (map[string][]byte, error) {
	if err := c.callers.wait(ctx); err != nil {
		return nil, err
	}
	list, err := c.list(ctx, c.fleet("instances/"))
	if err != nil {
		return nil, err
	}
	shown := map[string][]byte{}
	for _, pair := range list {
		shown[strings.TrimPrefix(pair.Key, c.fleet("instances/"))] = pair.Value
	}
	return shown, nil
}

type publication struct {
	c       *Consul
	key     string
	value   []byte
	written []byte // under the session that is open
	session session
	pace    *pace
}

// try makes it so that the value stands there under a living session. What is so already is not written again; a new value is written
// without further questions while the session is fresh.
func (p *publication) try(ctx context.Context) error {
	fresh := p.session.id != "" && time.Since(p.session.confirmed) < p.c.options.SessionTTL/3
	if !fresh || bytes.Equal(p.value, p.written) {
		there, err := p.check(ctx)
		if err != nil || there {
			return err
		}
	}
	if err := p.session.lock(ctx, p.key, p.value); err != nil {
		p.session.confirmed = time.Time{} // is it lost? check next time
		return err
	}
	p.written = p.value
	return nil
}

// check keeps the session, or opens another, and says whether the value stands there under it.
func (p *publication) check(ctx context.Context) (there bool, err error) {
	anew, err := p.session.ensure(ctx)
	if err != nil || anew {
		return false, err
	}
	held, value, err := p.session.holds(ctx, p.key)
	return held && bytes.Equal(value, p.value), err
}

// latest is the last of what has come so far.
func latest(v []byte, from <-chan []byte) []byte {
	for {
		select {
		case next, open := <-from:
			if !open {
				return v
			}
			v = next
		default:
			return v
		}
	}
}
