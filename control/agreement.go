package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Instance is one proxy of the fleet, as it tells the others.
type Instance struct {
	ID string `json:"id"`
	// Admin is where its admin listener is reached.
	Admin   string    `json:"admin"`
	Version string    `json:"version"`
	Digest  string    `json:"digest"` // of the config in force there
	Applied time.Time `json:"applied"`
}

// Agreement is which proxies of the fleet act by the same config as this one.
type Agreement struct {
	Digest string        `json:"digest"`
	Took   time.Duration `json:"took_ns"`
	// Agreed are the IDs of those that do, Behind those that do not.
	Agreed []string   `json:"agreed"`
	Behind []Instance `json:"behind,omitempty"`
}

// lookEvery is how often the instances are asked for while they are waited for.
const lookEvery = 200 * time.Millisecond

// Instances are the live proxies of the fleet, by ID.
func (l *Loop) Instances(ctx context.Context) ([]Instance, error) {
	if l.consul == nil {
		return nil, nil
	}
	texts, err := l.consul.Instances(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFleet, err)
	}
	return readInstances(texts), nil
}

// readInstances are the proxies that the fleet's keys tell of, by ID. What cannot be read is left out.
func readInstances(texts map[string][]byte) []Instance {
	all := make([]Instance, 0, len(texts))
	for id, text := range texts {
		i := Instance{}
		if json.Unmarshal(text, &i) == nil {
			i.ID = id
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Await waits until every live proxy of the fleet acts by the config in force here, for no longer than within: then Behind is not empty.
func (l *Loop) Await(ctx context.Context, within time.Duration) (*Agreement, error) {
	began := time.Now()
	late := time.NewTimer(within)
	defer late.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		digest := l.state.Load().revision.Digest
		all, err := l.Instances(ctx)
		if err != nil {
			return nil, err
		}
		a := &Agreement{Digest: digest, Took: time.Since(began)}
		for _, i := range all {
			if i.Digest == digest {
				a.Agreed = append(a.Agreed, i.ID)
			} else {
				a.Behind = append(a.Behind, i)
			}
		}
		if len(a.Behind) == 0 {
			return a, nil
		}
		select {
		case <-tick.C:
		case <-late.C:
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
