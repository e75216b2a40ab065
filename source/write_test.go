package source

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mlproxy/source/consultest"
)

func TestWritesCompareAndSet(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	f := func(key, value string, index uint64, want error) uint64 {
		t.Helper()
		now, err := c.Put(t.Context(), key, []byte(value), index)
		if !errors.Is(err, want) || (want == nil) != (err == nil) || (now == 0) != (err != nil) {
			t.Errorf("Put(%s, %s, %d) = %d, %v; want %v", key, value, index, now, err, want)
		}
		return now
	}
	first := f("overrides/iris", "1", 0, nil)
	f("overrides/iris", "2", 0, ErrConflict)
	second := f("overrides/iris", "2", first, nil)
	f("overrides/iris", "3", first, ErrConflict)
	f("overrides/none", "1", second, ErrConflict)
	f("overrides/other", "other", 0, nil)
	f("config", strings.Repeat("x", MaxValue), 0, nil)
	f("config", strings.Repeat("x", MaxValue+1), 0, ErrTooLarge)

	pair, there, err := c.Get(t.Context(), "overrides/iris")
	if err != nil || !there || string(pair.Value) != "2" || pair.Index != second {
		t.Errorf("Get = %+v, %v, %v", pair, there, err)
	}
	list, err := c.List(t.Context(), "overrides/")
	if err != nil || len(list) != 2 || string(list["overrides/other"].Value) != "other" {
		t.Errorf("List = %v, %v", list, err)
	}
	if err := c.Delete(t.Context(), "overrides/iris", first); !errors.Is(err, ErrConflict) {
		t.Errorf("Delete of what was changed meanwhile: %v", err)
	}
	if err := c.Delete(t.Context(), "overrides/iris", second); err != nil {
		t.Error(err)
	}
	if _, there, err := c.Get(t.Context(), "overrides/iris"); there || err != nil {
		t.Errorf("Get of what was deleted = %v, %v", there, err)
	}
	if err := c.Delete(t.Context(), "overrides/iris", 0); err != nil {
		t.Errorf("Delete of what is not there: %v", err)
	}
}

func TestWritesToAnAgentThatIsGone(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a, impatient)
	f := func(what string) {
		t.Helper()
		if _, err := c.Put(t.Context(), "config", nil, 0); !errors.Is(err, ErrUnreachable) {
			t.Errorf("Put, %s: %v", what, err)
		}
		if _, _, err := c.Get(t.Context(), "config"); !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "/v1/kv") {
			t.Errorf("Get, %s: %v", what, err)
		}
	}
	a.Freeze()
	f("frozen")
	a.Thaw()
	a.Kill()
	f("killed")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Put(ctx, "config", nil, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a context that is over: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	f := func(o ConsulOptions, want string) {
		t.Helper()
		if _, err := NewConsul(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	f(ConsulOptions{Address: "127.0.0.1:8500", Prefix: "mlproxy"}, "write http://host:port")
	f(ConsulOptions{Address: "unix:///run/consul", Prefix: "mlproxy"}, "write http://host:port")
	f(ConsulOptions{Address: "http://127.0.0.1:8500/ui", Prefix: "mlproxy"}, "write http://host:port")
	f(ConsulOptions{Address: "http://127.0.0.1:8500"}, "without slashes at its ends")
	f(ConsulOptions{Address: "http://127.0.0.1:8500", Prefix: "/mlproxy"}, "without slashes at its ends")
}
