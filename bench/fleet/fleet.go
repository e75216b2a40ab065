package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mlproxy/modeltest"
	"mlproxy/source/consultest"
)

// colours are the pools of the one route, in the order in which they become active.
var colours = []string{"blue", "green"}

// key is the one that says which colour is active.
const key = "mlproxy/routes/digits/active"

// question is what everybody asks: a digit.
const question = "/v2/models/digits/infer"

// patience is how long a proxy may take to begin, to act by a key, or to answer.
const patience = 20 * time.Second

// fleet is some proxies that share a Consul, before a model server of each colour.
type fleet struct {
	folder  string
	consul  *consultest.Agent
	models  map[string]*modeltest.Server
	proxies []*proxy
	client  *http.Client
}

// assemble starts a fleet, or nothing. All of it acts by the first colour.
func assemble(ctx context.Context, o *options, progress io.Writer) (*fleet, error) {
	folder, err := os.MkdirTemp("", "mlproxy-fleet-")
	if err != nil {
		return nil, err
	}
	f := &fleet{
		folder: folder, models: map[string]*modeltest.Server{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}, Timeout: patience},
	}
	fmt.Fprintf(progress, "Starting Consul, %d model servers and %d proxies.\n", len(colours), o.proxies)
	if err := f.start(ctx, o); err != nil {
		return nil, errors.Join(err, f.disband())
	}
	return f, nil
}

func (f *fleet) start(ctx context.Context, o *options) (err error) {
	if f.consul, err = consultest.Launch(consultest.Options{}); err != nil {
		return err
	}
	for i, colour := range colours {
		model := fmt.Sprintf("digits.%d", i+1)
		if f.models[colour], err = modeltest.Start(modeltest.Options{Models: []string{model}}); err != nil {
			return fmt.Errorf("model server %s: %w", colour, err)
		}
	}
	for i := range o.proxies {
		p, err := f.join(ctx, o.mlproxy, i)
		if err != nil {
			return err
		}
		f.proxies = append(f.proxies, p)
	}
	_, err = f.switchTo(ctx, colours[0])
	return err
}

// join adds a proxy to the fleet.
func (f *fleet) join(ctx context.Context, binary string, number int) (*proxy, error) {
	folder := filepath.Join(f.folder, fmt.Sprintf("proxy-%d", number+1))
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(file, []byte(f.config()), 0o600); err != nil {
		return nil, err
	}
	return startProxy(ctx, binary, file)
}

// config is every proxy's config file.
func (f *fleet) config() string {
	var pools strings.Builder
	for _, colour := range colours {
		fmt.Fprintf(&pools, "  %s: {endpoints: [%s]}\n", colour, f.models[colour].URL)
	}
	return fmt.Sprintf(`version: 1
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
state_dir: state
consul: {address: %s}
pools:
%sroutes:
  digits:
    match: {path: /v2/models/digits/}
    blue_green: {blue: blue, green: green, active: blue}
`, f.consul.Address(), &pools)
}

// say writes the key.
func (f *fleet) say(ctx context.Context, colour string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, f.consul.Address()+"/v1/kv/"+key, strings.NewReader(colour))
	if err != nil {
		return err
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s: %s", key, answer.Status, said)
	}
	return err
}

// disband ends all of it and removes what it wrote. An end that is not as it should be is an error.
func (f *fleet) disband() error {
	f.client.CloseIdleConnections()
	var faults []error
	for i, p := range f.proxies {
		if err := p.stop(); err != nil {
			faults = append(faults, fmt.Errorf("proxy %d: %w", i+1, err))
		}
	}
	for _, m := range f.models {
		if m != nil {
			faults = append(faults, m.Close())
		}
	}
	if f.consul != nil {
		f.consul.Close()
	}
	return errors.Join(append(faults, os.RemoveAll(f.folder))...)
}
