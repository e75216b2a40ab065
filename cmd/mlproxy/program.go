package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/journal"
	"mlproxy/monitor"
	"mlproxy/proxy"
	"mlproxy/router"
	"mlproxy/shadow"
	"mlproxy/source"
)

// catalogueWithin is how long a start waits for the endpoints that Consul's catalogue knows.
const catalogueWithin = 2 * time.Second

// farewell is how long the admin listener and the shadows may take to end, after all exchanges have.
const farewell = time.Second

// How long a client's connection may be quiet before it is closed: a client that sends on it at that moment gets no answer. A process that
// stops should not take long; one whose successor serves has time.
const (
	idleStopping  = 500 * time.Millisecond
	idleSucceeded = 5 * time.Second
)

// program is every room of a serving mlproxy, wired together. It is made whole or not at all, and runs once.
type program struct {
	log    *slog.Logger
	table  *router.Router
	estate *router.Estate
	loop   *control.Loop
	file   *source.File
	mirror *shadow.Mirror
	reader *monitor.Inspector
	access *journal.Access
	noted  *journal.Predictions
	traces *journal.Traces
	fleet  *membership // nil without Consul
	proxy  *proxy.Server
	admin  *admin.Server

	data    []net.Listener
	steer   net.Listener
	sockets []*socket              // beneath data and steer, for a successor
	phase   atomic.Pointer[string] // why it is not ready; nil when it is
	config  string                 // the file's path

	super     *supervisor
	before    *os.File    // leads to the process whose place this one takes; nil when it takes nobody's
	binary    string      // what a successor is started from
	upgrading atomic.Bool // a successor was started
	succeeded atomic.Bool // and serves
}

// newProgram reads the config file, applies it, and binds the listeners, so that everything that may be wrong at a start is
// known before the first request. Log lines go to the writer. What the process was given is used where it fits the config.
func newProgram(path string, logTo io.Writer, given *inheritance) (*program, error) {
	table := new(router.Router)
	p := &program{config: path, table: table, mirror: shadow.New(), before: given.before}
	p.not("starting; wait until the listeners are open")
	p.file = source.NewFile(path)
	first := p.file.Read()
	if first.Err != nil {
		return nil, invalid(first.Err)
	}
	p.log = newLog(logTo, first.Config.Log.Format, table)
	p.super = newSupervisor(p.log)
	registry := monitor.New()
	b := thisBuild()
	registry.Built(b.Version, b.Commit)
	p.estate = router.NewEstate(registry)
	p.estate.OnHealth = tellHealth(p.log)
	p.estate.Trust.Report = tellTrust(p.log)
	p.loop = control.New(p.estate, table, p.log)
	p.loop.Inherit(given.lock)
	p.access = newAccess(first.Config, table, registry, logTo, p.log)
	p.traces = newTraces(table, registry, b.Version, p.log)
	p.noted = newPredictions(table, registry, p.log)
	p.reader = monitor.NewInspector(registry, registry.Joiner().Learn, p.noted.Learn)
	p.proxy = proxy.New(proxy.Options{
		Router: table, Registry: registry, Mirror: p.mirror, Watch: p.estate.Endpoints.Watch(), Access: p.access, Traces: p.traces,
		Journal: p.noted, Inspector: p.reader, Log: p.log,
	})
	if err := p.newFleet(first.Config, b.Version); err != nil {
		return nil, err
	}
	if err := p.loop.Begin(first); errors.Is(err, control.ErrInUse) {
		return nil, err
	} else if err != nil {
		return nil, invalid(err)
	}
	warnOfReceipts(first.Config, p.log)
	p.file.Also = func() []string { return p.loop.Config().Files() }
	if err := firstOf(p.openAccess(), p.openJournal()); err != nil {
		return nil, err
	}
	if err := p.listen(first.Config, given); err != nil {
		return nil, err
	}
	p.admin = admin.New(admin.Options{
		Loop: p.loop, Table: table.Table, Registry: registry, Metrics: registry.Gatherer(), Ready: p.ready, Reload: p.reload,
		Listen: p.bound(), Version: b.Version, Log: p.log,
	})
	return p, nil
}

// listen takes or binds every listener, or none.
func (p *program) listen(c *config.Config, given *inheritance) (err error) {
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	open := func(kind, address string) (net.Listener, error) {
		ln, err := given.listen(kind, address)
		if err == nil {
			p.sockets = append(p.sockets, &socket{ln: ln, name: kind, of: address})
		}
		return ln, err
	}
	for _, address := range c.Listen {
		ln, err := open(dataSocket, address)
		if err != nil {
			return fmt.Errorf("cannot listen for traffic: %w; free the address, or change listen", err)
		}
		p.data = append(p.data, ln)
	}
	if p.steer, err = open(adminSocket, c.Admin.Listen); err != nil {
		return fmt.Errorf("cannot listen for the admin API: %w; free the address, or change admin.listen", err)
	}
	return given.settle(c.Listen, c.Admin.Listen)
}

// close closes the data listeners; a second time does nothing.
func (p *program) close() {
	for _, ln := range p.data {
		_ = ln.Close()
	}
}

// bound are the addresses the listeners really have: with port 0 the system chose.
func (p *program) bound() admin.Listen {
	b := admin.Listen{Admin: p.steer.Addr().String()}
	for _, ln := range p.data {
		b.Data = append(b.Data, ln.Addr().String())
	}
	return b
}

// run serves until stop ends or a part fails; then everything ends in turn: new connections, exchanges, shadows, the admin
// listener, the loop, the access log and what is traced. In another process's place it serves once that lets it.
func (p *program) run(stop context.Context) error {
	work, end := context.WithCancel(context.Background())
	defer end()
	parts := newGroup()
	p.work(work, parts)
	if p.fleet != nil {
		p.loop.AwaitCatalogue(stop, catalogueWithin)
	}
	if p.succeed(stop.Done(), parts.Failed()) {
		p.serve(work, parts)
		select {
		case <-stop.Done():
		case <-parts.Failed():
		}
	}
	p.drain(parts.Failed())
	p.leave()
	end()
	err := parts.Wait()
	p.log.Info("stopped")
	return err
}

// work starts what serves nobody by itself.
func (p *program) work(work context.Context, parts *group) {
	updates := make(chan source.Update)
	parts.Go(func() error { return p.loop.Run(work, updates) })
	parts.Go(func() error { return p.file.Watch(work, p.log, into(work, updates)) })
	parts.Go(func() error { p.estate.Endpoints.Run(work); return nil })
	parts.Go(func() error { p.estate.Trust.Run(work); return nil })
	parts.Go(func() error { p.access.Run(work); return nil })
	parts.Go(func() error { p.traces.Run(work); return nil })
	parts.Go(func() error { p.inspect(work); return nil })
	if p.fleet != nil {
		p.fleet.run(work, p.bound().Admin, parts)
	}
}

// serve starts the listeners.
func (p *program) serve(work context.Context, parts *group) {
	for _, ln := range p.data {
		parts.Go(func() error { return p.proxy.Serve(ln) })
	}
	parts.Go(func() error { return p.admin.Serve(secured{p.steer, p.table}) })
	parts.Go(func() error { p.super.guard(work, p.alive()); return nil })
	p.phase.Store(nil)
	b := p.bound()
	if p.fleet != nil {
		p.fleet.join(b.Data[0], p.ready)
	}
	p.log.Info("serving", "data", strings.Join(b.Data, ","), "admin", b.Admin, "config", p.config)
	p.super.tell("READY=1", fmt.Sprint("MAINPID=", os.Getpid()), p.summary())
}

// summary is what the supervisor shows of a program that serves.
func (p *program) summary() string {
	s := p.loop.Status()
	line := fmt.Sprintf("STATUS=serving %s, revision %d", strings.Join(p.bound().Data, ", "), s.Number)
	if !s.Reload.OK {
		line += "; the config file was refused, see the log"
	}
	return line
}

// alive is what says whether control and data path do: the one answers, the other's clock goes on.
func (p *program) alive() func(context.Context) bool {
	last := int64(-1)
	return func(ctx context.Context) bool {
		now := p.estate.Endpoints.Watch().Now()
		moved := now != last
		last = now
		return moved && p.loop.Answers(ctx)
	}
}

// into hands updates on until ctx ends.
func into(ctx context.Context, updates chan<- source.Update) func(source.Update) {
	return func(u source.Update) {
		select {
		case updates <- u:
		case <-ctx.Done():
		}
	}
}

// drain lets the world know that this instance leaves, and running exchanges finish, as long as the config in force allows.
func (p *program) drain(failed <-chan struct{}) {
	p.not("stopping; send traffic to another instance")
	if p.fleet != nil {
		p.fleet.leaving()
	}
	rules, idle := p.loop.Config().Shutdown, idleStopping
	if p.succeeded.Load() {
		rules.Delay, idle = 0, idleSucceeded // the listeners stay open in the successor
		p.leaveAdmin()
	} else {
		p.super.stopping(rules.Delay + rules.Drain + 2*farewell)
	}
	if rules.Delay > 0 {
		p.log.Info("not ready any more; listeners stay open", "delay", rules.Delay)
		p.proxy.Draining(true)
		select {
		case <-time.After(rules.Delay):
		case <-failed:
		}
	}
	p.log.Info("listeners closed; running exchanges finish", "drain", rules.Drain)
	within, cancel := context.WithTimeout(context.Background(), rules.Drain)
	defer cancel()
	if err := p.proxy.Shutdown(within, idle); err != nil {
		p.log.Warn("some exchanges did not finish in time and were cut", "drain", rules.Drain, "error", err)
	}
	p.close() // a Serve that had not begun when Shutdown came ends by this
}

// leave ends what only served the exchanges.
func (p *program) leave() {
	within, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := p.mirror.Close(within); err != nil {
		p.log.Warn("some copies to shadows were cut", "error", err)
	}
	p.leaveAdmin()
}

// leaveAdmin ends the admin listener; a second time does nothing.
func (p *program) leaveAdmin() {
	within, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := p.admin.Shutdown(within); err != nil {
		p.log.Warn("the admin listener did not end well", "error", err)
	}
}

// not says why the program is not ready.
func (p *program) not(why string) { p.phase.Store(&why) }

// ready says why no traffic should be sent here.
func (p *program) ready() error {
	if why := p.phase.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// reload reads the config file now and returns what became of it.
func (p *program) reload(ctx context.Context, author, reason string) error {
	err := p.file.Reload(ctx, author, reason)
	if errors.Is(err, source.ErrStopped) {
		return control.ErrStopped
	}
	return err
}

// reloadQuietly is a reload whose outcome only the log tells, as the loop does anyhow, and the supervisor.
func (p *program) reloadQuietly() error {
	p.super.reloading()
	_ = p.reload(context.Background(), "", "SIGHUP")
	p.super.tell("READY=1", p.summary())
	return nil
}
