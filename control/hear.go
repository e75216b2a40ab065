package control

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/source"
)

// Hear takes what stands in Consul's keys now; it is what [source.Consul.WatchKeys] emits to. It returns when that is in force, or refused.
func (l *Loop) Hear(k source.Keys) { tell(l, l.heard, k) }

// Find takes the instances of a service that a pool's endpoints come from; it is what [source.Consul.WatchCatalogue] emits to.
func (l *Loop) Find(s source.Service, instances []source.Instance) {
	tell(l, l.found, finding{s, instances})
}

func tell[T any](l *Loop, to chan<- T, v T) {
	select {
	case to <- v:
	case <-l.stopped:
	}
}

// finding is what the catalogue says of a service.
type finding struct {
	service   source.Service
	instances []source.Instance
}

// hear lays other values of the keys over the file. What would be refused as a whole, as two routes that match the same requests, is
// not asked again until it changes.
func (l *Loop) hear(heard source.Keys) {
	now := l.state.Load()
	next := *now
	next.remote = now.remote.hear(heard, time.Now())
	changed := next.remote.changes(now.remote)
	if len(changed) == 0 {
		l.become(&next)
		return
	}
	if err := l.lay(now, &next, next.remote.revision(changed)); err != nil {
		refused := *now
		refused.remote = now.remote.refuse(next.remote, changed, err)
		l.become(&refused)
	}
	s := l.state.Load()
	l.report(now.remote, s.remote)
	l.unkept = orElse(l.unkept, time.Now())
}

// lay applies a state whose layers beneath the operators' words have changed.
func (l *Loop) lay(now, next *state, by Revision) error {
	if faults := next.rebase(); len(faults) > 0 {
		return faults
	}
	next.said.Drained = known(now.said.Drained, next.base)
	if err := l.settle(now, next); err != nil {
		return err
	}
	masks := next.mask(now)
	if err := l.apply(next, by, l.tryKeep); err != nil {
		return err
	}
	l.tellMasks(masks)
	return nil
}

// late is what the catalogue says of a service while it cannot be in force: of its instances only drained ones are left. Those of before
// stay, as they do when none are left at all, until an operator's change or the catalogue's makes it possible.
type late struct {
	instances []source.Instance
	why       string
}

// find has the pools of a service send to other endpoints.
func (l *Loop) find(f finding) {
	now := l.state.Load()
	next := *now
	next.found, next.late = maps.Clone(now.found), maps.Clone(now.late)
	next.found[f.service] = f.instances
	delete(next.late, f.service)
	err := l.lay(now, &next, Revision{Origin: consul, Reason: "service " + f.service.Name})
	if err == nil {
		l.unkept = orElse(l.unkept, time.Now())
		return
	}
	why := strings.Join(list(err), "; ")
	if now.late[f.service].why != why {
		l.log.Error("the catalogue's endpoints are refused, keeping those of before", "service", f.service.Name, "faults", list(err))
	}
	refused := *now
	refused.late = union(now.late, map[source.Service]late{f.service: {f.instances, why}})
	l.become(&refused)
}

// catchUp tries again what was refused of the catalogue, if something else is in force now than before.
func (l *Loop) catchUp(before *state) {
	now := l.state.Load()
	if len(now.late) == 0 || now.table == before.table && maps.EqualFunc(now.said.Drained, before.said.Drained, alike) {
		return
	}
	for service, late := range now.late {
		l.find(finding{service, late.instances})
	}
}

func orElse(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// consul is the origin of what stands in Consul's keys.
const consul = "consul"

// changes are the names of the keys whose values are not what they were.
func (r *remote) changes(before *remote) (names []string) {
	for name := range union(before.keys, r.keys) {
		if was, is := before.keys[name], r.keys[name]; string(was.value) != string(is.value) || (was.value == nil) != (is.value == nil) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// revision says whose word a change of keys is: an operator's, if it is hers alone.
func (r *remote) revision(changed []string) Revision {
	by := Revision{Origin: consul}
	words := make([]string, len(changed))
	for i, name := range changed {
		words[i] = fmt.Sprintf("%s/%s @%d", r.prefix, name, r.keys[name].index)
		if r.keys[name].value == nil {
			words[i] = fmt.Sprintf("%s/%s deleted", r.prefix, name)
		}
	}
	by.Reason = strings.Join(words, ", ")
	if len(changed) != 1 || !strings.HasPrefix(changed[0], sayingsFolder) {
		return by
	}
	by.Origin = operator
	if k := r.keys[changed[0]]; k.next != nil {
		by.Author, by.Reason = k.next.over.Author, k.next.over.Reason
	}
	return by
}

// refuse is the remote in which the changed keys say something that is not taken.
func (r *remote) refuse(next *remote, changed []string, err error) *remote {
	kept := *r
	kept.keys, kept.index = maps.Clone(r.keys), next.index
	for _, name := range changed {
		k := kept.keys[name]
		k.index, k.value, k.next, k.since = next.keys[name].index, next.keys[name].value, nil, time.Now()
		k.fault = strings.Join(list(err), "; ")
		kept.keys[name] = k
	}
	return &kept
}

// report tells of the keys that have become wrong, and of those that are right again.
func (l *Loop) report(before, now *remote) {
	for _, name := range now.order() {
		k := now.keys[name]
		if was := before.keys[name].fault; k.fault != was && k.fault != "" {
			l.log.Error("a key of Consul is refused", "key", now.prefix+"/"+name, "index", k.index, "fault", k.fault, "in_force", k.inForce())
		} else if k.fault != was {
			l.log.Info("a key of Consul is right again", "key", now.prefix+"/"+name, "index", k.index)
		}
	}
}

// inForce says what is in force of a key that is wrong.
func (k *key) inForce() string {
	if k.good == nil {
		return "nothing: the layer below"
	}
	return fmt.Sprintf("what it said at index %d", k.good.index)
}

// memberships are the endpoints that the catalogue knows of a config's pools. An address that may not be used is left out, and said so once.
func (s *state) memberships(base *config.Config) (members config.Members, refused map[string]string) {
	members, refused = config.Members{}, map[string]string{}
	for name, p := range base.Pools {
		if p.Consul == nil {
			continue
		}
		instances, known := s.found[serviceOf(p.Consul)]
		if !known {
			continue
		}
		members[name] = []config.Endpoint{}
		for _, i := range instances {
			at := (&url.URL{Scheme: i.Scheme, Host: i.Address}).String()
			e, err := base.Member(at, i.Weight)
			if err != nil {
				refused[at] = err.Error()
				continue
			}
			members[name] = append(members[name], e)
		}
	}
	return members, refused
}

// AwaitCatalogue waits until every service that pools take their endpoints from was found, or for no longer than within.
func (l *Loop) AwaitCatalogue(ctx context.Context, within time.Duration) {
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	for {
		changed := *l.changed.Load()
		s := l.state.Load()
		if !slices.ContainsFunc(services(s.table.Config()), func(v source.Service) bool { _, there := s.found[v]; return !there }) {
			return
		}
		select {
		case <-changed:
		case <-l.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

func serviceOf(c *config.Catalogue) source.Service {
	return source.Service{
		Name: c.Service, Tags: source.TagsOf(c.Tags...), PassingOnly: c.PassingOnly, Datacenter: c.Datacenter, Near: c.Near,
	}
}

// services are those that the pools in force, or about to be, take their endpoints from.
func services(c *config.Config) (all []source.Service) {
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		if k := c.Pools[name].Consul; k != nil {
			all = append(all, serviceOf(k))
		}
	}
	return all
}

// recallRemote waits a moment for Consul, and takes what it said last when it does not answer.
func (l *Loop) recallRemote(s *state) {
	s.remote = &remote{prefix: l.prefix}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	last, err := l.kept.load()
	if err != nil {
		l.log.Warn("what Consul said last cannot be read", "error", err)
	}
	s.found = map[source.Service][]source.Instance{}
	for _, f := range last.Found {
		s.found[f.Service] = f.Instances
	}
	pairs, err := l.consul.List(ctx, "")
	heard := source.Keys{Pairs: pairs}
	if err != nil {
		heard = last.Keys
		l.log.Warn("Consul does not answer; what it said last is in force until it does", "error", err, "keys", len(heard.Pairs), "index", heard.Index)
	}
	s.remote = s.remote.hear(heard, time.Now())
}

// patience is how long a start waits for Consul.
const patience = 2 * time.Second

// lastHeard is what Consul said last, as it is kept for a start without it.
type lastHeard struct {
	Keys  source.Keys  `json:"keys"`
	Found []catalogued `json:"found,omitempty"`
}

// catalogued is one service of it.
type catalogued struct {
	Service   source.Service    `json:"service"`
	Instances []source.Instance `json:"instances"`
}

// keepEvery is how often what Consul says is kept at most: a check that flaps must not wear out the disk.
const keepEvery = time.Second

// preserve keeps what is in force of Consul's word for a start without it, if that is news. That it cannot be kept changes nothing now.
func (l *Loop) preserve() {
	if l.unkept.IsZero() {
		return
	}
	l.unkept = time.Time{}
	s := l.state.Load()
	last := lastHeard{Keys: source.Keys{Index: s.remote.index, Pairs: map[string]source.Pair{}}}
	for name, k := range s.remote.keys {
		if k.good != nil {
			last.Keys.Pairs[name] = source.Pair{Value: k.good.from, Index: k.good.index}
		}
	}
	for service, instances := range s.found {
		last.Found = append(last.Found, catalogued{service, instances})
	}
	slices.SortFunc(last.Found, func(a, b catalogued) int { return strings.Compare(a.Service.String(), b.Service.String()) })
	if err := l.kept.save(&last); err != nil {
		l.log.Warn("what Consul says cannot be kept for a start without it; make room in state_dir, or make it writable", "error", err)
	}
}
