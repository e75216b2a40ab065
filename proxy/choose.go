package proxy

import (
	"mlproxy/monitor"
)

// choose assigns the request to a version: the one a trusted caller names, or the split's choice.
func (x *exchange) choose() bool {
	if name := x.forced(); name != nil {
		x.chosen, x.by = x.route.Force(name), monitor.ByForce
		if x.chosen == nil {
			return x.refuse(monitor.BadRequest, "the pool that the request is forced to is none of the route's")
		}
	} else {
		x.key = x.route.Key(&x.req, x.routable(), x.clientAddress())
		x.chosen, x.by = x.route.Split.Choose(x.key)
	}
	x.chosen.Meter.Assign(x.by)
	x.route.Retries.Earn()
	if !x.upgrades { // what a tunnel carries cannot be copied
		x.shadow.draw(x.route, x.server.opt.Mirror)
	}
	x.sample()
	return true
}

// forced is the pool that the request names, if it may.
func (x *exchange) forced() []byte {
	if header := x.route.Config.ForceHeader; header != "" && x.trusted {
		return x.req.Get(header)
	}
	return nil
}

// routable is the body as far as routing may read it: whole, or not at all.
func (x *exchange) routable() []byte {
	if x.replays {
		return x.prefix
	}
	return nil
}
