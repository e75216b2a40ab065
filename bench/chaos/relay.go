package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// relay is the network before a model server: a proxy of toxiproxy's, which carries connections there, as ill as it is told.
type relay struct{ *toxiproxy.Proxy }

// illness is what is wrong with a network. It is of the bytes of answers; the zero value is good health.
type illness struct {
	down  bool   // connections are cut, and new ones are refused
	toxic string // of toxiproxy's; "" = none
	with  set    // its attributes, as toxiproxy's README names them: latency and jitter in ms, rate in kB/s, delay of slicer in µs
}

func openRelay(to string) (*relay, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics log to where all do who use this library
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	r := &relay{toxiproxy.NewProxy(server, "network", "127.0.0.1:0", to)}
	return r, r.Start()
}

// falls changes what is wrong, also for the connections there are.
func (r *relay) falls(ctx context.Context, ill illness) error {
	if ill.down {
		r.Stop()
		return nil
	}
	for end := time.Now().Add(patience); ; { // a connection that somebody makes may have the port meanwhile
		err := r.Start()
		if err == nil || errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			break
		}
		if time.Now().After(end) || wait(ctx, 10*time.Millisecond) != nil {
			return err
		}
	}
	r.Toxics.ResetToxics(ctx)
	if ill.toxic == "" {
		return nil
	}
	attributes, err := json.Marshal(ill.with)
	if err == nil {
		_, err = r.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %q, "stream": "downstream", "attributes": %s}`, ill.toxic, attributes)))
	}
	return err
}
