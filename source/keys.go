package source

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// Keys is all that stands below the prefix, at one moment.
type Keys struct {
	// Index is Consul's index of that moment.
	Index uint64
	// Pairs is by name without the prefix: "routes/iris/split".
	Pairs map[string]Pair
}

// Pair is what stands in one key.
type Pair struct {
	Value []byte
	// Index is that of the key's last write: what Put and Delete compare.
	Index uint64
}

// WatchKeys emits what stands below the prefix: once at first, even if that is nothing, and then whenever a name or a value is
// another one, until ctx ends. emit may block, but not beyond ctx. Without a believable answer it emits nothing; Contact says why.
// Call it once.
func (c *Consul) WatchKeys(ctx context.Context, emit func(Keys)) error {
	k := &keyWatch{c: c, emit: emit}
	w := watch{c: c, log: c.log.With("watch", c.key("")), standing: &c.keys, paces: []*pace{c.keyPace}, ask: k.ask}
	w.run(ctx)
	return nil
}

type keyWatch struct {
	c       *Consul
	emit    func(Keys)
	emitted bool
	last    Keys // what was emitted
}

func (k *keyWatch) ask(ctx context.Context, q *api.QueryOptions) (*api.QueryMeta, string, error) {
	list, meta, err := k.c.client.KV().List(k.c.key(""), q)
	if err == nil {
		err = believable(meta)
	}
	if err != nil {
		return nil, "", err
	}
	now := Keys{Index: meta.LastIndex, Pairs: pairs(list, k.c.key(""))}
	if k.emitted && maps.EqualFunc(k.last.Pairs, now.Pairs, equalValues) {
		k.last.Index = max(k.last.Index, now.Index)
		return meta, "", nil
	}
	if lost(k.last, now) {
		return meta, fmt.Sprintf("the index went back from %d to %d and all keys below %s are gone, as if Consul had lost its data; "+
			"the last ones are kept until a key is written there", k.last.Index, now.Index, k.c.key("")), nil
	}
	if err := k.confirm(ctx, now); err != nil {
		return nil, "", err
	}
	k.emitted, k.last = true, now
	k.emit(now)
	return meta, "", nil
}

// lost says whether an empty answer is that of a Consul without its data rather than of one whose last key was deleted.
func lost(last, now Keys) bool {
	return len(now.Pairs) == 0 && len(last.Pairs) > 0 && now.Index < last.Index
}

// confirm asks for a key that the list lacks. A list leaves out without a word what the token may not read, and an agent that shuts
// down may answer with an empty one; a single key is refused, or there.
func (k *keyWatch) confirm(ctx context.Context, now Keys) error {
	name := missing(k.last, now)
	if name == "" && len(now.Pairs) == 0 {
		name = "config" // the first list: may this token read at all?
	}
	if name == "" {
		return nil
	}
	pair, meta, err := k.c.client.KV().Get(k.c.key(name), (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return err
	}
	if pair != nil {
		return fmt.Errorf("%w: its list lacks %s, which stands there", ErrUnreachable, k.c.key(name))
	}
	return believable(meta)
}

// missing is a name that was there and is not now; "" = none.
func missing(last, now Keys) string {
	for name := range last.Pairs {
		if _, there := now.Pairs[name]; !there {
			return name
		}
	}
	return ""
}

// pairs is what a list has below the prefix, but for the folders that Consul's user interface makes.
func pairs(list api.KVPairs, prefix string) map[string]Pair {
	by := make(map[string]Pair, len(list))
	for _, p := range sound(list) {
		if name, below := strings.CutPrefix(p.Key, prefix); below && name != "" && !strings.HasSuffix(name, "/") {
			by[name] = Pair{Value: p.Value, Index: p.ModifyIndex}
		}
	}
	return by
}

// sound is a list without what is null in the answer, which no Consul says and something before it might.
func sound(list api.KVPairs) api.KVPairs {
	return slices.DeleteFunc(list, func(p *api.KVPair) bool { return p == nil })
}

func equalValues(a, b Pair) bool { return bytes.Equal(a.Value, b.Value) }
