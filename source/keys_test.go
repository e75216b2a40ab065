package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"mlproxy/source/consultest"
)

// keysOf watches the keys of a client, and says what was emitted, as "name=value name=value" in order.
func keysOf(t *testing.T, c *Consul) <-chan string {
	t.Helper()
	emitted := make(chan string, 1000)
	background(t, func(ctx context.Context) error {
		return c.WatchKeys(ctx, func(k Keys) { emitted <- said(k) })
	})
	return emitted
}

func said(k Keys) string {
	var list []string
	for name, p := range k.Pairs {
		list = append(list, name+"="+string(p.Value))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func wantNext(t *testing.T, from <-chan string, want string) {
	t.Helper()
	if got := next(t, from); got != want {
		t.Fatalf("emitted %q, want %q", got, want)
	}
}

func TestKeysAreEmittedWhenTheirContentChanges(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	emitted := keysOf(t, c)
	wantNext(t, emitted, "") // the first answer, though nothing is there
	a.Put(t, t.Name()+"/routes/iris/split", "{a: 1}")
	wantNext(t, emitted, "routes/iris/split={a: 1}")
	a.Put(t, t.Name()+"-fleet/instances/1", "not ours")
	a.Put(t, t.Name()+"/routes/iris/split", "{a: 1}") // written again, with the same content
	a.Put(t, t.Name()+"/routes/", "")                 // a folder of the user interface
	a.Put(t, t.Name()+"/config", "version: 1")
	wantNext(t, emitted, "config=version: 1 routes/iris/split={a: 1}")
	a.Delete(t, t.Name()+"/config")
	wantNext(t, emitted, "routes/iris/split={a: 1}")
	a.Delete(t, t.Name()+"/")
	wantNext(t, emitted, "")
	if at := c.Contact().Keys; at.Stale != "" || at.Last.IsZero() {
		t.Errorf("standing %+v, want fresh", at)
	}
}

func TestKeysThatATokenMayNotReadAreNotTakenForDeleted(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{ACL: true})
	secret, revoke := a.Token(t, "reader", `key_prefix "`+t.Name()+`/" { policy = "read" }`)
	a.Put(t, t.Name()+"/config", "1")
	shown := make(chan string, 1)
	shown <- secret
	c := consul(t, a, func(o *ConsulOptions) {
		o.Token = func() (string, error) { s := <-shown; shown <- s; return s, nil }
	})
	emitted := keysOf(t, c)
	wantNext(t, emitted, "config=1")
	stale := func(why error) {
		t.Helper()
		eventually(t, "stale for "+why.Error(), func() bool { return strings.Contains(c.Contact().Keys.Stale, why.Error()) })
	}
	show := func(secret string) { <-shown; shown <- secret }

	revoke()
	a.Put(t, t.Name()+"/config", "2") // ends the query that is waiting
	stale(ErrForbidden)
	secret, revoke = a.Token(t, "again", `key_prefix "`+t.Name()+`/" { policy = "read" }`)
	show(secret)
	wantNext(t, emitted, "config=2")
	if _, err := c.Put(t.Context(), "config", nil, 0); !errors.Is(err, ErrForbidden) {
		t.Errorf("Put with a token that may only read: %v", err)
	}

	show("") // nobody: Consul leaves out of the list what nobody may see
	a.Put(t, t.Name()+"/config", "3")
	stale(ErrForbidden)
	show(secret)
	wantNext(t, emitted, "config=3")
	revoke()
}

func TestKeysOutliveTheirAgent(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a, func(o *ConsulOptions) { o.Wait = 10 * time.Minute }) // nobody helps it out of waiting for an index that never comes
	for i := range 5 {                                                      // the index of an agent that begins anew is behind
		a.Put(t, "unrelated", fmt.Sprint(i))
	}
	a.Put(t, t.Name()+"/config", "1")
	emitted := keysOf(t, c)
	wantNext(t, emitted, "config=1")
	for _, end := range []func(){a.Kill, a.Stop} {
		end()
		eventually(t, "stale", func() bool { return strings.Contains(c.Contact().Keys.Stale, ErrUnreachable.Error()) })
		a.Restart(t, false)
		eventually(t, "lost data noticed", func() bool { return strings.Contains(c.Contact().Keys.Stale, "the index went back") })
		a.Put(t, t.Name()+"/config", "2")
		wantNext(t, emitted, "config=2")
		a.Put(t, t.Name()+"/config", "1")
		wantNext(t, emitted, "config=1")
		for i := range 5 {
			a.Put(t, "unrelated", fmt.Sprint(i))
		}
		a.Put(t, t.Name()+"/config", "1 ")
		wantNext(t, emitted, "config=1 ")
	}
}

func TestAnIndexThatWentBackBeginsAgain(t *testing.T) {
	f := func(last, answered, want uint64) {
		t.Helper()
		if got := follow(last, answered); got != want {
			t.Errorf("follow(%d, %d) = %d, want %d", last, answered, got, want)
		}
	}
	f(0, 0, 1)
	f(0, 7, 7)
	f(7, 7, 7)
	f(7, 9, 9)
	f(9, 7, 0)
	f(1, 0, 0)
}

func TestAnswersThatAreNotBelieved(t *testing.T) {
	f := func(meta api.QueryMeta, want error) {
		t.Helper()
		if got := believable(&meta); !errors.Is(got, want) {
			t.Errorf("%+v: %v, want %v", meta, got, want)
		}
	}
	f(api.QueryMeta{KnownLeader: true}, nil)
	f(api.QueryMeta{}, ErrUnreachable)
	f(api.QueryMeta{KnownLeader: true, ResultsFilteredByACLs: true}, ErrForbidden)
}
