package source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// publishing shows what is sent to the channel as the instance id.
func publishing(t *testing.T, c *Consul, id string) (values chan []byte, stop func()) {
	values = make(chan []byte, 100)
	return values, background(t, func(ctx context.Context) error { return c.Publish(ctx, id, values) })
}

// shown is what the instances show, as "id=value id=value" in order.
func shown(t *testing.T, c *Consul) string {
	t.Helper()
	all, err := c.Instances(t.Context())
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		list = append(list, fmt.Sprintf("%s=%s", id, all[id]))
	}
	return strings.Join(list, " ")
}

func wantShown(t *testing.T, c *Consul, want string) {
	t.Helper()
	eventually(t, "instances "+want, func() bool { return shown(t, c) == want })
}

func TestInstancesShowTheirLatestValue(t *testing.T) {
	t.Parallel()
	a := shared(t)
	one, two := consul(t, a, patientSession), consul(t, a, patientSession)
	ones, stopOne := publishing(t, one, "one")
	twos, stopTwo := publishing(t, two, "two")
	ones <- []byte("1")
	twos <- []byte("1")
	wantShown(t, one, "one=1 two=1")
	for i := range 50 {
		ones <- fmt.Append(nil, i)
	}
	wantShown(t, one, "one=49 two=1")

	endSessions(t, two) // lost, as when the network was away for too long
	wantShown(t, one, "one=49 two=1")
	a.Delete(t, t.Name()+"-fleet/instances/two")
	wantShown(t, one, "one=49 two=1")

	stopOne()
	if got := shown(t, two); got != "two=1" {
		t.Errorf("after one has ended: %s", got)
	}
	close(twos)
	stopTwo()
}

func TestAnInstanceThatDiedIsForgotten(t *testing.T) {
	t.Parallel()
	c := consul(t, shared(t))
	s := session{c: c, behavior: api.SessionBehaviorDelete}
	if _, err := s.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.lock(t.Context(), c.fleet("instances/dead"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	wantShown(t, c, "dead=1")
	wantShown(t, c, "")
}

// patientSession is for tests in which no session should be lost on a busy machine.
func patientSession(o *ConsulOptions) {
	o.SessionTTL = 6 * time.Second
	o.Prefix = strings.ReplaceAll(o.Prefix, "/", "-")
}

// endSessions ends all sessions of a test at the server.
func endSessions(t *testing.T, c *Consul) {
	t.Helper()
	list, _, err := c.client.Session().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == c.options.Prefix {
			if _, err := c.client.Session().Destroy(s.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}
