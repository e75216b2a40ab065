package source

import (
	"fmt"
	"testing"
)

func TestHistoryKeepsTheLast(t *testing.T) {
	t.Parallel()
	a := shared(t)
	c := consul(t, a)
	const before = maxHistory + maxOps + 10 // more than one transaction has to delete
	for i := range before {
		a.Put(t, fmt.Sprintf("%s-fleet/history/20200101T%06d", t.Name(), i), fmt.Sprint(i))
	}
	for _, entry := range []string{"first", "second"} {
		if err := c.Record(t.Context(), []byte(entry)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.list(t.Context(), c.fleet("history/"))
	if err != nil || len(list) != maxHistory {
		t.Errorf("%d entries in Consul, %v; want %d", len(list), err, maxHistory)
	}
	entries, err := c.History(t.Context())
	if err != nil || len(entries) != maxHistory {
		t.Fatalf("%d entries, %v; want %d", len(entries), err, maxHistory)
	}
	f := func(i int, want string) {
		t.Helper()
		if got := string(entries[i]); got != want {
			t.Errorf("entry %d is %q, want %q", i, got, want)
		}
	}
	f(0, fmt.Sprint(before-maxHistory+2))
	f(maxHistory-3, fmt.Sprint(before-1))
	f(maxHistory-2, "first")
	f(maxHistory-1, "second")
}
