package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// peer is a proxy that can be measured.
type peer struct {
	name    string
	config  string                                   // its template in peers/
	command func(o *options, config string) []string // that runs it in the foreground
	version []string
}

var peers = []peer{
	{
		name: "nginx", config: "nginx.conf", version: []string{"nginx", "-v"},
		command: func(_ *options, config string) []string {
			return []string{"nginx", "-e", filepath.Join(filepath.Dir(config), "error.log"), "-c", config}
		},
	},
	{
		name: "haproxy", config: "haproxy.cfg", version: []string{"haproxy", "-v"},
		command: func(_ *options, config string) []string { return []string{"haproxy", "-db", "-f", config} },
	},
	{
		name: "mlproxy", config: "mlproxy.yaml",
		command: func(o *options, config string) []string { return []string{o.mlproxy, "serve", "-c", config} },
	},
	{
		name: "baseline", config: "mlproxy.yaml",
		command: func(o *options, config string) []string { return []string{o.baseline, "serve", "-c", config} },
	},
}

//go:embed peers
var templates embed.FS

var configs = template.Must(template.ParseFS(templates, "peers/*"))

// setting is what the config of a peer is made of.
type setting struct {
	Listen, Admin, Folder string
	Stable                []string
	Canary, Shadow        string
	Ask, Events           int
	Mirror, Inspect       int
	Others                []int
	Root                  bool
}

// running is a peer at work.
type running struct {
	address string
	cmd     *exec.Cmd
	said    bytes.Buffer
	ended   chan struct{}
}

// patience is how long a peer may take to listen, and to end.
const patience = 20 * time.Second

// start runs a peer on the core that is kept for proxies, and waits until it listens.
func (p *peer) start(ctx context.Context, o *options, s setting) (*running, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s.Listen, s.Admin, s.Root = ports[0], ports[1], os.Geteuid() == 0
	config := filepath.Join(s.Folder, p.config)
	var text bytes.Buffer
	if err := configs.ExecuteTemplate(&text, p.config, s); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	r := &running{address: s.Listen, ended: make(chan struct{})}
	command := append([]string{"taskset", "-c", strconv.Itoa(o.proxyCore)}, p.command(o, config)...)
	r.cmd = exec.Command(command[0], command[1:]...)
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.ended)
	}()
	return r, r.await(ctx, p.name)
}

// await waits until the peer takes connections.
func (r *running) await(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := net.Dial("tcp4", r.address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-r.ended:
			return fmt.Errorf("%s ended at once: %s", name, strings.TrimSpace(r.said.String()))
		case <-ctx.Done():
			r.stop()
			return fmt.Errorf("%s does not listen: %w", name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the peer.
func (r *running) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
}

// freePorts are addresses that nobody listens on. Another program can take one before the peer does, which then says so and ends.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// installed says what is wrong with running the peer here, or which version would run.
func (p *peer) installed(ctx context.Context, o *options) (version string, err error) {
	command := p.version
	if command == nil {
		command = []string{p.command(o, "")[0], "version"}
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(first), nil
}
