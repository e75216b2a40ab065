package source

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"mlproxy/source/consultest"
)

func TestRegistration(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a)
	var sick atomic.Bool
	register := func(ctx context.Context) error {
		return c.Register(ctx, Registration{
			ID: "proxy-1", Name: "mlproxy", Tags: []string{"edge"}, Address: "127.0.0.1", Port: 8080,
			Healthy: func() (bool, string) { return !sick.Load(), "no config yet" },
		})
	}
	stop := background(t, register)
	passing, all := Service{Name: "mlproxy", Tags: "edge", PassingOnly: true}, Service{Name: "mlproxy"}
	c.Want([]Service{passing, all})
	emitted := membersOf(t, c)
	lines := []string{next(t, emitted), next(t, emitted)}
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "mlproxy with edge: http://127.0.0.1:8080*1") {
		t.Errorf("registered as %s", got)
	}
	standing := func(s Service, stale bool) {
		t.Helper()
		eventually(t, "a change of "+s.String(), func() bool { return (c.Contact().Services[s].Stale != "") == stale })
	}
	sick.Store(true)
	standing(passing, true)
	standing(all, false)
	sick.Store(false)
	standing(passing, false)

	a.Kill()
	standing(all, true)
	a.Restart(t, false)
	standing(passing, false)

	stop()
	standing(all, true)
}
