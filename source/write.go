package source

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
)

// MaxValue is the longest value that Put writes, in bytes: Consul takes transactions of 512 KiB, in base64.
const MaxValue = 380 << 10

// Put writes a key below the prefix if its index still is the one given; 0 = if it does not exist. It returns the new index.
// Errors: ErrConflict, ErrTooLarge, ErrForbidden, ErrUnreachable.
func (c *Consul) Put(ctx context.Context, key string, value []byte, index uint64) (uint64, error) {
	if err := c.callers.wait(ctx); err != nil {
		return 0, err
	}
	return c.put(ctx, c.key(key), value, index)
}

// Delete removes a key below the prefix if its index still is the one given; 0 = whatever stands there. That nothing stands there is
// no error. Errors: ErrConflict, ErrForbidden, ErrUnreachable.
func (c *Consul) Delete(ctx context.Context, key string, index uint64) error {
	if err := c.callers.wait(ctx); err != nil {
		return err
	}
	_, err := c.transact(ctx, nil, deletion(c.key(key), index))
	return err
}

// Get reads a key below the prefix; false = nothing stands there. Errors: ErrForbidden, ErrUnreachable.
func (c *Consul) Get(ctx context.Context, key string) (Pair, bool, error) {
	if err := c.callers.wait(ctx); err != nil {
		return Pair{}, false, err
	}
	ctx, cancel := c.briefly(ctx)
	defer cancel()
	pair, meta, err := c.client.KV().Get(c.key(key), new(api.QueryOptions).WithContext(ctx))
	if err == nil {
		err = believable(meta)
	}
	if err != nil || pair == nil {
		return Pair{}, false, plain(err)
	}
	return Pair{Value: pair.Value, Index: pair.ModifyIndex}, true, nil
}

// List reads what stands below a part of the prefix ("overrides/"; "" = all), by name without the prefix. What the token may not read is
// left out. Errors: ErrForbidden, ErrTooLarge, ErrUnreachable.
func (c *Consul) List(ctx context.Context, prefix string) (map[string]Pair, error) {
	if err := c.callers.wait(ctx); err != nil {
		return nil, err
	}
	list, err := c.list(ctx, c.key(prefix))
	return pairs(list, c.key("")), err
}

func (c *Consul) list(ctx context.Context, prefix string) (api.KVPairs, error) {
	ctx, cancel := c.briefly(ctx)
	defer cancel()
	list, meta, err := c.client.KV().List(prefix, new(api.QueryOptions).WithContext(ctx))
	if err == nil {
		err = believable(meta)
	}
	return sound(list), plain(err)
}

func (c *Consul) put(ctx context.Context, key string, value []byte, index uint64) (uint64, error) {
	done, err := c.transact(ctx, value, &api.KVTxnOp{Verb: api.KVCAS, Key: key, Value: value, Index: index})
	if err != nil {
		return 0, err
	}
	return written(done)
}

// written is the index of the last key that a transaction wrote.
func written(done api.TxnResults) (uint64, error) {
	if n := len(done); n > 0 && done[n-1] != nil && done[n-1].KV != nil {
		return done[n-1].KV.ModifyIndex, nil
	}
	return 0, fmt.Errorf("%w: its answer does not say what was written", ErrUnreachable)
}

func deletion(key string, index uint64) *api.KVTxnOp {
	if index == 0 {
		return &api.KVTxnOp{Verb: api.KVDelete, Key: key}
	}
	return &api.KVTxnOp{Verb: api.KVDeleteCAS, Key: key, Index: index}
}

// transact does all of the operations or none. value is what they write, for its size.
func (c *Consul) transact(ctx context.Context, value []byte, ops ...*api.KVTxnOp) (api.TxnResults, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("%w: a value of %d bytes; Consul takes at most %d", ErrTooLarge, len(value), MaxValue)
	}
	list := make(api.TxnOps, 0, len(ops))
	for _, op := range ops {
		list = append(list, &api.TxnOp{KV: op})
	}
	ctx, cancel := c.briefly(ctx)
	defer cancel()
	ok, answer, _, err := c.client.Txn().Txn(list, new(api.QueryOptions).WithContext(ctx))
	if err != nil {
		return nil, plain(err)
	}
	if !ok {
		return nil, why(ops, answer.Errors)
	}
	return answer.Results, nil
}

// why says what kept a transaction from being done.
func why(ops []*api.KVTxnOp, faults api.TxnErrors) error {
	if len(faults) == 0 || faults[0] == nil {
		return ErrConflict
	}
	kind, first := ErrConflict, faults[0]
	switch {
	case strings.Contains(first.What, "Permission denied"):
		kind = ErrForbidden
	case first.OpIndex >= 0 && first.OpIndex < len(ops) && ops[first.OpIndex].Verb == api.KVCheckSession:
		kind = ErrNotLeader
	}
	return fmt.Errorf("%w (%s)", kind, first.What)
}
