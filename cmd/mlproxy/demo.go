package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type demoCmd struct {
	Listen string        `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Where clients connect (${default}); when it is taken, a free port."`
	Admin  string        `default:"127.0.0.1:9090" placeholder:"ADDR" help:"The admin listener (${default}); when it is taken, a free port."`
	Rate   float64       `default:"20" placeholder:"N" help:"Requests a second that the demo makes itself (${default}); 0 for none."`
	Every  time.Duration `default:"10s" placeholder:"TIME" help:"How often it says what became of them (${default})."`
	Consul bool          `help:"Start a Consul agent as well: its keys steer the traffic, its catalogue has one pair of pools."`
}

// Run shows mlproxy at work until Ctrl-C. A second Ctrl-C ends it at once.
func (c *demoCmd) Run(t *terminal) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // from the first signal on, the next one ends the program
	place, err := c.place(t)
	if err != nil {
		return err
	}
	return c.show(ctx, t, place)
}

// show starts model servers, Consul if it is wanted, proxy and traffic, in that order, and ends them in the other until nothing is left of them.
func (c *demoCmd) show(ctx context.Context, t *terminal, place *demoPlace) error {
	defer place.given.close()
	servers, err := startDemoModels()
	if err != nil {
		return err
	}
	defer servers.Close()
	folder, err := os.MkdirTemp("", "mlproxy-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if c.Consul {
		if place.Consul, err = startDemoConsul(ctx, folder, servers); err != nil {
			return unlessInterrupted(ctx, err)
		}
		defer place.Consul.Close()
	}
	place.Config = filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(place.Config, demoConfig(place, servers), 0o600); err != nil {
		return err
	}
	proxy, err := newProgram(place.Config, t.Err, place.given)
	if err != nil {
		return err
	}
	return c.play(ctx, t, place, proxy)
}

// unlessInterrupted is the error, unless somebody has pressed Ctrl-C meanwhile.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// play runs proxy and traffic side by side. The traffic ends first, so that the proxy has nothing left to wait for.
func (c *demoCmd) play(ctx context.Context, t *terminal, place *demoPlace, proxy *program) error {
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	clients, stopClients := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer stopClients() // also when the proxy fails
		ended <- proxy.run(serving)
	}()
	fmt.Fprint(t.Out, demoGuide(place))
	newTrickle(place.Listen).run(clients, c.Rate, c.Every, t.Out)
	fmt.Fprintln(t.Out, "Stopping: the requests, the proxy"+place.also()+", the model servers.")
	stopServing()
	return <-ended
}

// demoPlace is where the demo is to be found.
type demoPlace struct {
	Listen string      // host:port
	Admin  string      // host:port
	Config string      // the file
	Binary string      // mlproxy, as it was called: the same works in another terminal in the same folder
	Consul *demoConsul // nil without

	given *inheritance // the sockets at Listen and Admin, for the proxy: nobody else can get them while all else starts
}

// also is what else there is to stop.
func (p *demoPlace) also() string {
	if p.Consul == nil {
		return ""
	}
	return ", Consul"
}

// place chooses the addresses: the wanted ones if they are free.
func (c *demoCmd) place(t *terminal) (*demoPlace, error) {
	if c.Rate < 0 || c.Rate > 1000 {
		return nil, usage(fmt.Errorf("--rate %v: a demo makes between 0 and 1000 requests a second; make load makes more", c.Rate))
	}
	if c.Every <= 0 {
		return nil, usage(fmt.Errorf("--every %v: a time such as 10s is needed", c.Every))
	}
	place := &demoPlace{Binary: os.Args[0], given: &inheritance{giver: "the demo"}}
	var err error
	if place.Listen, err = place.take(t, dataSocket, "--listen", c.Listen); err != nil {
		return nil, err
	}
	if place.Admin, err = place.take(t, adminSocket, "--admin", c.Admin); err != nil {
		place.given.close()
		return nil, err
	}
	return place, nil
}

// take binds a socket of that kind and returns its address.
func (p *demoPlace) take(t *terminal, kind, flag, wanted string) (string, error) {
	ln, err := listenNear(t, flag, wanted)
	if err != nil {
		return "", err
	}
	address := ln.Addr().String()
	p.given.sockets = append(p.given.sockets, &socket{ln: ln, name: kind, of: address})
	return address, nil
}

// listenNear listens at the wanted address, or at a free port of its host when somebody else has it. Only loopback will do: the demo
// has no locks on its doors.
func listenNear(t *terminal, flag, wanted string) (*net.TCPListener, error) {
	host, _, err := net.SplitHostPort(wanted)
	if err != nil {
		return nil, usage(fmt.Errorf("%s %q: %w; write host:port, such as 127.0.0.1:8080", flag, wanted, err))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage(fmt.Errorf("%s %q: the demo stays on this machine; use 127.0.0.1:port", flag, wanted))
	}
	ln, err := net.Listen("tcp", wanted)
	if errors.Is(err, syscall.EADDRINUSE) {
		ln, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err == nil {
			fmt.Fprintf(t.Out, "%s is taken by another program, so the demo uses %s (%s chooses another).\n", wanted, ln.Addr(), flag)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w; choose another address", flag, wanted, err)
	}
	return ln.(*net.TCPListener), nil
}
