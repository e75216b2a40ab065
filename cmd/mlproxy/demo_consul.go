package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mlproxy/modeltest"
	"mlproxy/source"
)

// demoService is how the digits' model servers are called in the demo's catalogue. Their tags are their colours.
const demoService = "digits"

// demoTag is the tag of a pool whose model servers stand in the catalogue; false = the config file says where they are.
func demoTag(pool string) (tag string, catalogued bool) {
	colour, catalogued := strings.CutPrefix(pool, demoService+"-")
	if !catalogued {
		return "", false
	}
	return colour, true
}

// consulPatience is how long the agent may take to be of use, on a busy machine.
const consulPatience = 30 * time.Second

// demoConsul is the demo's own Consul agent: one process, everything in memory, on loopback.
type demoConsul struct {
	Binary  string // as one types it in the demo's folder
	Address string // host:port of its HTTP interface
	process *exec.Cmd
	ended   chan struct{} // closed when the process is over
	leave   func()        // takes the model servers out of the catalogue, and returns when that is done

	ports []string // for HTTP, server and gossip; ours until give
	give  func()
}

// startDemoConsul runs an agent that has the digits' model servers in its catalogue. Its log goes to the folder.
func startDemoConsul(ctx context.Context, folder string, servers demoModels) (*demoConsul, error) {
	binary, err := findConsul()
	if err != nil {
		return nil, err
	}
	d := &demoConsul{Binary: binary, leave: func() {}}
	if d.ports, d.give, err = modeltest.Hold(3); err != nil {
		return nil, err
	}
	d.Address = net.JoinHostPort("127.0.0.1", d.ports[0])
	if err := d.launch(ctx, filepath.Join(folder, "consul.log")); err != nil {
		return nil, err
	}
	if err := d.fill(ctx, servers); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// findConsul is the agent that the Makefile builds: in this folder, or in the one whose bin holds this mlproxy; else the one on PATH.
func findConsul() (string, error) {
	folders := []string{"."}
	if self, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Dir(filepath.Dir(self)))
	}
	for _, folder := range folders {
		binary := filepath.Join(folder, ".bin", "consul")
		if found, err := os.Stat(binary); err == nil && found.Mode().IsRegular() {
			return binary, nil
		}
	}
	if _, err := exec.LookPath("consul"); err != nil {
		return "", errors.New("--consul: there is no .bin/consul here, and no consul on PATH; `make .bin/consul` builds it (once; 3 to 6 minutes)")
	}
	return "consul", nil
}

// launch starts the agent, and returns when it leads, so that keys can be written.
func (d *demoConsul) launch(ctx context.Context, log string) error {
	err := d.start(log)
	if err != nil {
		d.give()
		return err
	}
	err = await(ctx, d, "/v1/status/leader", func(leader string) bool { return leader != "" })
	if err == nil {
		return nil
	}
	d.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said, _ := os.ReadFile(log)
	return fmt.Errorf("the Consul agent (%s) does not start: %w; it said:\n%s", d.Binary, err, said)
}

func (d *demoConsul) start(log string) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	d.process = exec.Command(d.Binary, "agent", "-dev", "-node", "mlproxy-demo", "-bind", "127.0.0.1", "-client", "127.0.0.1",
		"-http-port", d.ports[0], "-server-port", d.ports[1], "-serf-lan-port", d.ports[2], "-serf-wan-port", "-1",
		"-grpc-port", "-1", "-grpc-tls-port", "-1", "-dns-port", "-1", "-log-level", "warn",
		"-hcl", "connect { enabled = false }", "-hcl", "disable_update_check = true")
	d.process.Stdout, d.process.Stderr = out, out
	// Ctrl-C is for us alone: the agent ends after the proxy, and with us at the latest.
	d.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := d.process.Start(); err != nil {
		return err
	}
	process, ended := d.process, make(chan struct{})
	d.ended = ended
	go func() { _ = process.Wait(); close(ended) }()
	return nil
}

// fill registers the digits' model servers, and returns when the catalogue has them.
func (d *demoConsul) fill(ctx context.Context, servers demoModels) error {
	consul, err := source.NewConsul(source.ConsulOptions{Address: "http://" + d.Address, Prefix: "demo", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	staying, leave := context.WithCancel(context.WithoutCancel(ctx))
	registered := newGroup()
	d.leave = func() { leave(); _ = registered.Wait() }
	members := 0
	for pool, server := range servers {
		tag, catalogued := demoTag(pool)
		if !catalogued {
			continue
		}
		at, err := demoAddress(server.URL)
		if err != nil {
			return err
		}
		r := source.Registration{ID: pool, Name: demoService, Tags: []string{tag}, Address: at.Addr().String(), Port: int(at.Port())}
		registered.Go(func() error { return consul.Register(staying, r) })
		members++
	}
	return await(ctx, d, "/v1/health/service/"+demoService+"?passing=1", func(list []struct{}) bool { return len(list) == members })
}

func demoAddress(server string) (netip.AddrPort, error) {
	at, err := url.Parse(server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(at.Host)
}

// Close ends the agent. It has nothing to lose.
func (d *demoConsul) Close() {
	d.leave()
	_ = d.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(2 * time.Second): // it may be stopped: somebody has tried what happens then
		_ = d.process.Process.Kill()
		<-d.ended
	}
	d.give()
}

// await asks the agent for something until that is as it should be.
func await[T any](ctx context.Context, d *demoConsul, path string, enough func(T) bool) error {
	ctx, cancel := context.WithTimeout(ctx, consulPatience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		got, err := ask[T](ctx, "http://"+d.Address+path)
		if err == nil && enough(got) {
			return nil
		}
		select {
		case <-again.C:
		case <-d.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("no good answer to GET %s", path), err)
		}
	}
}

// ask is one JSON document of the agent.
func ask[T any](ctx context.Context, url string) (got T, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return got, err
	}
	r.Close = true // nothing is left open to an agent that we end
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return got, err
	}
	defer answer.Body.Close()
	return got, json.NewDecoder(answer.Body).Decode(&got)
}
