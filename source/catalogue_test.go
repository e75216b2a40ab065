package source

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"mlproxy/source/consultest"
)

// membersOf watches the catalogue, and says what was emitted, as "service: address*weight ...".
func membersOf(t *testing.T, c *Consul) <-chan string {
	t.Helper()
	emitted := make(chan string, 1000)
	background(t, func(ctx context.Context) error {
		return c.WatchCatalogue(ctx, func(s Service, list []Instance) {
			line := s.String() + ":"
			for _, i := range list {
				line += fmt.Sprintf(" %s://%s*%v", i.Scheme, i.Address, i.Weight)
			}
			emitted <- line
		})
	})
	return emitted
}

func TestCatalogueFollowsInstances(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	name := strings.ToLower(t.Name())
	v2 := Service{Name: name, Tags: TagsOf("v2", "gpu"), PassingOnly: true}
	c.Want([]Service{v2})
	emitted := membersOf(t, c)
	eventually(t, "said to have none", func() bool { return strings.Contains(c.Contact().Services[v2].Stale, "no passing instance") })

	t.Cleanup(func() {
		a.Deregister(t, name+"0")
		a.Deregister(t, name+"1")
	})
	one := consultest.Instance{ID: name + "1", Name: name, Tags: []string{"gpu", "v2"}, Port: 9001, Weight: 3}
	a.Register(t, one)
	wantNext(t, emitted, name+" with gpu, v2: http://127.0.0.1:9001*3")
	a.Register(t, consultest.Instance{ID: name + "0", Name: name, Tags: []string{"v2"}, Port: 9000})
	two := consultest.Instance{
		ID: name + "2", Name: name, Tags: []string{"v2", "gpu", "more"}, Address: "model.example", Port: 9002,
		Meta: map[string]string{"scheme": "https"},
	}
	a.Register(t, two)
	wantNext(t, emitted, name+" with gpu, v2: http://127.0.0.1:9001*3 https://model.example:9002*1")
	a.SetStatus(t, one.ID, "warning")
	wantNext(t, emitted, name+" with gpu, v2: https://model.example:9002*1")

	a.SetStatus(t, two.ID, "critical") // now all are: the last ones stay
	eventually(t, "stale", func() bool { return strings.Contains(c.Contact().Services[v2].Stale, "the last 1 are kept") })
	a.SetStatus(t, two.ID, "passing") // nothing to emit
	eventually(t, "fresh", func() bool { return c.Contact().Services[v2].Stale == "" })
	a.Deregister(t, two.ID)
	a.Deregister(t, one.ID)
	eventually(t, "stale", func() bool { return strings.Contains(c.Contact().Services[v2].Stale, "the last 1 are kept") })
	a.Register(t, one)
	wantNext(t, emitted, name+" with gpu, v2: http://127.0.0.1:9001*3")

	all := Service{Name: name}
	c.Want([]Service{all})
	wantNext(t, emitted, name+": http://127.0.0.1:9000*1 http://127.0.0.1:9001*3")
	a.SetStatus(t, one.ID, "warning")
	wantNext(t, emitted, name+": http://127.0.0.1:9000*1 http://127.0.0.1:9001*1")
	if _, watched := c.Contact().Services[v2]; watched {
		t.Error("what is wanted no more is still watched")
	}
}

func TestTagsAreASet(t *testing.T) {
	if a, b := TagsOf("b", "a", "b"), TagsOf("a", "b"); a != b || fmt.Sprint(a.list()) != "[a b]" {
		t.Errorf("%q, %q", a, b)
	}
	if none := TagsOf(); none != "" || none.list() != nil {
		t.Errorf("%q", none)
	}
}

func TestInstancesThatCannotBeUsed(t *testing.T) {
	f := func(e api.ServiceEntry, want string) {
		t.Helper()
		list, left := instances([]*api.ServiceEntry{&e})
		if got := fmt.Sprintf("%v %s", list, left); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	entry := func(address string, port int, scheme, check string) api.ServiceEntry {
		return api.ServiceEntry{
			Node:    &api.Node{Node: "n", Address: "::1"},
			Service: &api.AgentService{ID: "i", Address: address, Port: port, Meta: map[string]string{"scheme": scheme}},
			Checks:  api.HealthChecks{{CheckID: check, Status: api.HealthCritical}},
		}
	}
	f(entry("", 9001, "", "c"), "[{[::1]:9001 http 1 i n}] ")
	f(entry("h", 0, "", "c"), `[] i at n has no usable address ("h", port 0)`)
	f(entry("h", 70000, "", "c"), `[] i at n has no usable address`)
	f(entry("h", 1, "grpc", "c"), `[] i at n has meta scheme "grpc"; write http or https`)
	f(entry("h", 1, "", api.NodeMaint), "[] ")
	f(api.ServiceEntry{}, "[] ")
}
