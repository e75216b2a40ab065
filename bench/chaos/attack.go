package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// attack is something that many connections do to mlproxy.
type attack struct {
	full, short int           // connections
	opening     string        // each of them sends first
	drip        string        // and then again and again
	every       time.Duration // with so much time between; 0 = nothing more
	reads       bool          // they look at what they are answered
	lasts       time.Duration // before they leave; those that are cut leave then
}

// enemy is one connection of an attack.
type enemy struct {
	net.Conn
	cut  time.Time // mlproxy ended it
	told string    // the first line of the answer
}

// attacking carries an attack out and has the connections leave in the end.
func attacking(a *attack) cause {
	return func(ctx context.Context, x *experiment) error {
		enemies, err := a.open(x)
		defer func() {
			for _, e := range enemies {
				_ = e.Close()
			}
		}()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, either(x, a.lasts, a.lasts/2))
		defer cancel()
		var work sync.WaitGroup
		for _, e := range enemies {
			work.Go(func() { a.act(ctx, e) })
		}
		work.Wait()
		x.record(enemies)
		return nil
	}
}

func (a *attack) open(x *experiment) (enemies []*enemy, err error) {
	for range either(x, a.full, a.short) {
		c, err := net.Dial("tcp", x.data)
		if err != nil {
			return enemies, fmt.Errorf("connection %d of the attack: %w", len(enemies)+1, err)
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		enemies = append(enemies, &enemy{Conn: c})
	}
	return enemies, nil
}

// act is the life of one connection.
func (a *attack) act(ctx context.Context, e *enemy) {
	stop := context.AfterFunc(ctx, func() { _ = e.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	go func() { _, _ = e.Write([]byte(a.opening)) }()
	if !a.reads {
		<-ctx.Done()
		return
	}
	if a.every > 0 {
		go a.keepDripping(ctx, e)
	}
	in := bufio.NewReader(e)
	e.told, _ = in.ReadString('\n')
	for {
		if _, err := in.Discard(1); err != nil {
			break
		}
	}
	if ctx.Err() == nil {
		e.cut = time.Now()
	}
}

func (a *attack) keepDripping(ctx context.Context, e *enemy) {
	for wait(ctx, a.every) == nil {
		if _, err := e.Write([]byte(a.drip)); err != nil {
			return
		}
	}
}

// record notes what became of an attack.
func (x *experiment) record(enemies []*enemy) {
	x.seen.Hostile, x.seen.Told = len(enemies), map[string]int{}
	for _, e := range enemies {
		if !e.cut.IsZero() {
			x.seen.Cut++
			x.seen.CutIn = max(x.seen.CutIn, e.cut.Sub(x.broke))
		}
		if e.told != "" {
			x.seen.Told[strings.TrimSpace(e.told)]++
		}
	}
}
