package source

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	maxHistory = 200 // entries that are kept
	maxOps     = 64  // what Consul takes in one transaction
)

// Record adds an entry to what the fleet remembers, and forgets the oldest beyond the last 200. The clocks of the fleet say what is
// oldest. Errors: ErrTooLarge, ErrForbidden, ErrUnreachable.
func (c *Consul) Record(ctx context.Context, entry []byte) error {
	if err := c.callers.wait(ctx); err != nil {
		return err
	}
	name := fmt.Sprintf("history/%s-%08x", time.Now().UTC().Format("20060102T150405.000000000Z"), rand.Uint32())
	if _, err := c.put(ctx, c.fleet(name), entry, 0); err != nil {
		return err
	}
	return c.forget(ctx)
}

// History is what the fleet remembers, oldest first. Errors: ErrForbidden, ErrUnreachable.
func (c *Consul) History(ctx context.Context) ([][]byte, error) {
	if err := c.callers.wait(ctx); err != nil {
		return nil, err
	}
	list, err := c.list(ctx, c.fleet("history/"))
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, len(list)) // Consul lists keys in order
	for _, pair := range list {
		entries = append(entries, pair.Value)
	}
	return entries[max(0, len(entries)-maxHistory):], nil
}

// forget deletes what is too old, a transaction full at a time.
func (c *Consul) forget(ctx context.Context) error {
	brief, cancel := c.briefly(ctx)
	defer cancel()
	names, _, err := c.client.KV().Keys(c.fleet("history/"), "", new(api.QueryOptions).WithContext(brief))
	if err != nil {
		return plain(err)
	}
	for chunk := range slices.Chunk(names[:max(0, len(names)-maxHistory)], maxOps) {
		var ops []*api.KVTxnOp
		for _, name := range chunk {
			ops = append(ops, &api.KVTxnOp{Verb: api.KVDelete, Key: name})
		}
		if _, err := c.transact(ctx, nil, ops...); err != nil {
			return err
		}
	}
	return nil
}
