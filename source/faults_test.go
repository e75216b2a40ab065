package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mlproxy/source/consultest"
)

// calm fails the test if more was asked of Consul in the length of f than mlproxy allows itself.
func calm(t *testing.T, c *Consul, f func()) {
	t.Helper()
	before, began := c.Queries(), time.Now()
	f()
	if asked, most := c.Queries()-before, 8*time.Since(began).Seconds()+2; float64(asked) > most {
		t.Errorf("%d queries in %v; at most %v", asked, time.Since(began), most)
	}
}

// stale waits for the watch of the keys to say so, for a reason that contains why; "" = to be fresh.
func wantStale(t *testing.T, c *Consul, why string) {
	t.Helper()
	eventually(t, "stale for "+why, func() bool {
		now := c.Contact().Keys.Stale
		return (now == "") == (why == "") && strings.Contains(now, why)
	})
}

func TestADurableAgentThatWasKilledIsNoNews(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{Durable: true})
	address, count := a.Counted(t)
	c := consul(t, a, func(o *ConsulOptions) { o.Address = address })
	a.Put(t, t.Name()+"/config", "1")
	emitted := keysOf(t, c)
	wantNext(t, emitted, "config=1")
	for _, end := range []func(){a.Kill, a.Stop} {
		calm(t, c, func() {
			end()
			wantStale(t, c, ErrUnreachable.Error())
			a.Restart(t, true)
			wantStale(t, c, "")
		})
	}
	a.Put(t, t.Name()+"/config", "2")
	wantNext(t, emitted, "config=2") // and nothing before it
	if seen, said := count(), c.Queries(); seen > said || seen < said-1 {
		t.Errorf("%d queries seen, %d said", seen, said)
	}
}

func TestAFrozenAgent(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a, impatient)
	a.Put(t, t.Name()+"/config", "1")
	emitted := keysOf(t, c)
	wantNext(t, emitted, "config=1")
	calm(t, c, func() {
		a.Freeze()
		wantStale(t, c, ErrUnreachable.Error())
		last := c.Contact().Last
		asked := c.Queries()
		eventually(t, "asked some more", func() bool { return c.Queries() > asked+2 })
		if now := c.Contact().Last; now.After(last) {
			t.Error("a frozen agent cannot have answered")
		}
		a.Thaw()
		wantStale(t, c, "")
	})
	a.Put(t, t.Name()+"/config", "2")
	wantNext(t, emitted, "config=2")
}

// Consul wakes those who wait for a prefix without a key at every write of anybody's.
func TestAThousandUnrelatedWritesASecond(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a)
	emitted := keysOf(t, c)
	wantNext(t, emitted, "")
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	calm(t, c, func() {
		var writers sync.WaitGroup
		for i := range 4 {
			writers.Go(func() { flood(ctx, a.Address(), fmt.Sprintf("unrelated/%d", i), 4*time.Millisecond) })
		}
		time.AfterFunc(time.Second, func() { a.Put(t, t.Name()+"/config", "1") })
		wantNext(t, emitted, "config=1")
		writers.Wait()
	})
}

// flood writes a key every gap until ctx ends.
func flood(ctx context.Context, address, key string, gap time.Duration) {
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		request, _ := http.NewRequest(http.MethodPut, address+"/v1/kv/"+key, strings.NewReader(fmt.Sprint(i)))
		if answer, err := client.Do(request); err == nil {
			_ = answer.Body.Close()
		}
	}
}

func TestAFlappingCheck(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a)
	steady := consultest.Instance{ID: "steady", Name: "iris", Port: 9001}
	flapping := consultest.Instance{ID: "flapping", Name: "iris", Port: 9002}
	a.Register(t, steady)
	a.Register(t, flapping)
	c.Want([]Service{{Name: "iris", PassingOnly: true}})
	emitted := membersOf(t, c)
	both := "iris: http://127.0.0.1:9001*1 http://127.0.0.1:9002*1"
	wantNext(t, emitted, both)
	began := time.Now()
	calm(t, c, func() {
		for i := 0; time.Since(began) < 3*time.Second; i++ {
			a.SetStatus(t, flapping.ID, []string{"critical", "passing"}[i%2])
		}
	})
	if most := int(time.Since(began).Seconds()) + 3; len(emitted) > most {
		t.Errorf("%d changes of the members in %v; at most %d", len(emitted), time.Since(began), most)
	}
	a.SetStatus(t, flapping.ID, "critical")
	for next(t, emitted) != "iris: http://127.0.0.1:9001*1" {
	}
	a.SetStatus(t, flapping.ID, "passing")
	wantNext(t, emitted, both)
}

func TestAnswersBeyondTheLimitAreNotRead(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	c.door.limit = 64 << 10
	a.Put(t, t.Name()+"/config", "1")
	emitted := keysOf(t, c)
	wantNext(t, emitted, "config=1")
	calm(t, c, func() {
		a.Put(t, t.Name()+"/large", strings.Repeat("x", 64<<10))
		wantStale(t, c, ErrTooLarge.Error())
		if _, err := c.List(t.Context(), ""); !errors.Is(err, ErrTooLarge) {
			t.Errorf("List: %v", err)
		}
		a.Put(t, t.Name()+"/config", "2")
		a.Delete(t, t.Name()+"/large")
		wantNext(t, emitted, "config=2")
	})
}

func TestHoweverMuchIsAskedConsulIsAskedSlowly(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	emitted := keysOf(t, c)
	wantNext(t, emitted, "")
	var services []Service
	for i := range 50 {
		services = append(services, Service{Name: fmt.Sprint("none-", i)})
	}
	c.Want(services)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	calm(t, c, func() {
		membersOf(t, c)
		var askers sync.WaitGroup
		for range 50 {
			askers.Go(func() {
				for ctx.Err() == nil {
					if _, _, err := c.Get(ctx, "config"); err != nil && !errors.Is(err, ErrUnreachable) && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		a.Put(t, t.Name()+"/config", "1")
		wantNext(t, emitted, "config=1") // and the watch is not crowded out
		if stale := c.Contact().Keys.Stale; stale != "" {
			t.Error(stale)
		}
		askers.Wait()
	})
}
