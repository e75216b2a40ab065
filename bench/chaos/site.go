package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"mlproxy/modeltest"
)

const (
	live   = 3 // endpoints of the pool stable
	canary = 3 // the server of the pool canary, behind those
	next   = 4 // the server of the shadow, if there is one
)

// site is what a scenario plays on: three live endpoints, a canary, and mlproxy before them.
type site struct {
	dir     string
	file    string // mlproxy's config
	options *options
	limit   time.Duration // of the route: its timeout
	servers []*server
	scene   *scenario
	relay   *relay // before the first server; nil = none
	copied  int    // percent of the requests, to the shadow
	proxy   *process
	data    string // where mlproxy serves
	admin   string
}

// open starts everything. The site is to be closed also when it cannot be opened.
func open(ctx context.Context, o *options, scene *scenario, limit time.Duration) (*site, error) {
	s := &site{options: o, limit: limit, scene: scene}
	var err error
	if s.dir, err = os.MkdirTemp("", "mlproxy-chaos"); err != nil {
		return s, err
	}
	s.file = filepath.Join(s.dir, "config.yaml")
	names := []string{"stable-1", "stable-2", "stable-3", "canary"}
	if scene.shadow {
		names = append(names, "next")
	}
	for _, name := range names {
		if err := s.addServer(ctx, name); err != nil {
			return s, err
		}
	}
	if scene.network {
		if s.relay, err = openRelay(s.servers[0].addr); err != nil {
			return s, err
		}
	}
	return s, s.startProxy(ctx)
}

func (s *site) addServer(ctx context.Context, name string) error {
	added, err := newServer(name)
	if err != nil {
		return err
	}
	s.servers = append(s.servers, added)
	return added.start(ctx)
}

var serving = regexp.MustCompile(`msg=serving data=(\S+) admin=(\S+)`)

func (s *site) startProxy(ctx context.Context) (err error) {
	if err := s.rewrite(s.config(90, 10)); err != nil {
		return err
	}
	command := exec.Command(s.options.mlproxy, "serve", "-c", s.file)
	if s.scene.files > 0 {
		limit := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, s.scene.files)
		command = exec.Command("/bin/sh", append([]string{"-c", limit}, command.Args...)...)
	}
	s.proxy, err = launch(command)
	if err != nil {
		return err
	}
	m, err := s.proxy.await(ctx, serving)
	if err == nil {
		s.data, s.admin = m[1], m[2]
	}
	return err
}

// config is mlproxy's, with these weights.
func (s *site) config(stable, canaryWeight int) string {
	var urls []string
	for _, server := range s.servers {
		urls = append(urls, fmt.Sprintf("%q", "http://"+server.addr))
	}
	if s.relay != nil {
		urls[0] = fmt.Sprintf("%q", "http://"+s.relay.Listen)
	}
	pools, route := "", s.options.route
	if s.scene.shadow {
		pools = fmt.Sprintf("\n  next: {endpoints: [%s]}", urls[next])
	}
	if s.copied > 0 {
		route += fmt.Sprintf(", shadow: {next: {sample: %d%%}}", s.copied)
	}
	return fmt.Sprintf(`version: 1
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
shutdown: {drain: 10s}
pools:
  stable: {endpoints: [%s], %[2]s}
  canary: {endpoints: [%s], %[2]s}%[8]s
routes:
  iris: {match: {path: /}, split: {stable: %[4]d, canary: %[5]d}, timeout: %[6]s, %[7]s}
%[9]s`, strings.Join(urls[:live], ", "), s.options.pool, urls[canary], stable, canaryWeight, s.limit, route, pools, s.scene.settings)
}

// rewrite replaces the config file in one step, as editors do.
func (s *site) rewrite(config string) error {
	if err := os.WriteFile(s.file+".new", []byte(config), 0o600); err != nil {
		return err
	}
	return os.Rename(s.file+".new", s.file)
}

// reload has mlproxy read its file, and is an error unless it says of it what it should.
func (s *site) reload(ctx context.Context, want int) error {
	status, text, err := post(ctx, "http://"+s.admin+"/-/reload", "")
	if err == nil && status != want {
		err = fmt.Errorf("the reload was answered with %d, not %d: %s", status, want, text)
	}
	return err
}

const inferPath = "/v2/models/iris/infer"

// usual brings the usual config into force.
func (s *site) usual(ctx context.Context) error {
	if err := s.rewrite(s.config(90, 10)); err != nil {
		return err
	}
	return s.reload(ctx, http.StatusOK)
}

// load begins to ask, so many times a second, with so many bytes.
func (s *site) load(rate, size int) *load {
	body := modeltest.InferBody([][]float64{{5.1, 3.5, 1.4, 0.2}})
	body = append(body, bytes.Repeat([]byte(" "), max(0, size-len(body)))...)
	return newLoad(http.MethodPost, "http://"+s.data+inferPath, body, rate, cmp.Or(s.scene.patience, s.options.patience))
}

// close ends everything. Its error is of mlproxy, which must end well.
func (s *site) close() (log []string, err error) {
	if s.proxy != nil {
		err = s.proxy.stop()
		log, _ = s.proxy.log()
	}
	for _, server := range s.servers {
		server.leave()
	}
	if s.relay != nil {
		s.relay.Stop()
	}
	for _, sign := range []string{"DATA RACE", "panic"} {
		if slices.ContainsFunc(log, func(line string) bool { return strings.Contains(line, sign) }) {
			err = errors.Join(err, fmt.Errorf("its log says %q", sign))
		}
	}
	_ = os.RemoveAll(s.dir)
	return log, err
}
