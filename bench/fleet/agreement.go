package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mlproxy/modeltest"
)

// agreement is how a fleet came to act by a key.
type agreement struct {
	colour string
	took   []time.Duration // of each proxy, from before the write to the beginning of the first request that the new pool answered
}

// all is how long it took until the last proxy acted by the key.
func (a agreement) all() time.Duration { return slices.Max(a.took) }

func (a agreement) String() string {
	each := make([]string, len(a.took))
	for i, t := range a.took {
		each[i] = brief(t).String()
	}
	return fmt.Sprintf("%s everywhere after %v (%s)", a.colour, brief(a.all()), strings.Join(each, ", "))
}

// switchTo writes the key and returns when every proxy acts by it.
func (f *fleet) switchTo(ctx context.Context, colour string) (agreement, error) {
	a := agreement{colour: colour, took: make([]time.Duration, len(f.proxies))}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	faults := make([]error, len(f.proxies))
	began := time.Now()
	var looking sync.WaitGroup
	for i, p := range f.proxies {
		looking.Go(func() { a.took[i], faults[i] = f.awaitColour(ctx, p, colour, began) })
	}
	if err := f.say(ctx, colour); err != nil {
		cancel()
		looking.Wait()
		return a, err
	}
	looking.Wait()
	for i, err := range faults {
		if err != nil {
			return a, fmt.Errorf("proxy %d does not act by %s = %s: %w", i+1, key, colour, err)
		}
	}
	return a, nil
}

// lookEvery is how often a proxy is asked who answers: what is measured is no finer.
const lookEvery = 2 * time.Millisecond

// awaitColour asks until the answer is of a pool, and returns how long after the beginning it was asked.
func (f *fleet) awaitColour(ctx context.Context, p *proxy, colour string, began time.Time) (time.Duration, error) {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		asked := time.Since(began)
		pool, err := f.ask(ctx, p)
		if err != nil {
			return 0, err
		}
		if pool == colour {
			return asked, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("%s still answers: %w", pool, ctx.Err())
		}
	}
}

// ask returns the pool that answers. Any answer but 200 is an error.
func (f *fleet) ask(ctx context.Context, p *proxy) (pool string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+question, strings.NewReader(digit()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := f.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", answer.Status, said)
	}
	return answer.Header.Get("X-MLProxy-Pool"), err
}

// digit is the body of every question: a picture that the models never saw.
var digit = sync.OnceValue(func() string {
	samples, err := modeltest.Samples("digits")
	if err != nil {
		panic(err) // embedded
	}
	return string(modeltest.InferBody([][]float64{samples[0].Row}, "class"))
})

// brief is a time as one would say it.
func brief(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
