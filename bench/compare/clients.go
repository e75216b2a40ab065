package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// clients ask a proxy for what a workload says.
type clients struct {
	load    *workload
	address string
	request []byte

	measured atomic.Bool // whether what ends now counts
	answers  atomic.Int64
	failures atomic.Int64
	times    times // of answers; of streams, from when an event was sent to when it came
	firsts   times // of streams: to the first event

	ready sync.WaitGroup // clients that have had no answer yet
	conns sync.Map       // net.Conn -> nil
	done  sync.WaitGroup
	due   chan time.Time // of exchanges in an open loop, from when on they count
	leave context.CancelFunc
}

// maxLate bounds the exchanges of an open loop that wait for a client; beyond it they fail.
const maxLate = 4096

// begin has clients ask until end is called.
func begin(load *workload, address string) *clients {
	text := body("instances", load.ask)
	c := &clients{load: load, address: address, due: make(chan time.Time, maxLate)}
	c.request = fmt.Appendf(nil, "POST /v1/models/bench:predict HTTP/1.1\r\nHost: models.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	ctx, leave := context.WithCancel(context.Background())
	c.leave = leave
	c.ready.Add(load.clients)
	for range load.clients {
		c.done.Go(func() { c.client(ctx) })
	}
	if load.rate > 0 {
		c.done.Go(func() { c.schedule(ctx) })
	}
	return c
}

// schedule makes exchanges due at a constant rate, whatever became of those before.
func (c *clients) schedule(ctx context.Context) {
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	gap := time.Second / time.Duration(c.load.rate)
	for next := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			for ; !next.After(now); next = next.Add(gap) {
				select {
				case c.due <- next:
				default:
					c.failed()
				}
			}
		}
	}
}

// client is one connection after the other, each as long as it lasts.
func (c *clients) client(ctx context.Context) {
	ready := sync.OnceFunc(c.ready.Done)
	defer ready()
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp4", c.address)
		if err != nil {
			c.failed()
			_ = pause(ctx, 10*time.Millisecond)
			continue
		}
		c.conns.Store(conn, nil)
		if ctx.Err() == nil {
			if err := c.converse(ctx, newWire(conn), ready); err != nil && ctx.Err() == nil {
				c.failed()
			}
		}
		c.conns.Delete(conn)
		_ = conn.Close()
	}
}

func (c *clients) failed() {
	if c.measured.Load() {
		c.failures.Add(1)
	}
}

// converse asks over one connection, again and again.
func (c *clients) converse(ctx context.Context, w *wire, ready func()) error {
	for ctx.Err() == nil {
		began := time.Now()
		if c.load.rate > 0 {
			ready()
			select {
			case began = <-c.due:
			case <-ctx.Done():
				return nil
			}
		}
		if _, err := w.c.Write(c.request); err != nil {
			return err
		}
		if err := c.hear(w, began); err != nil {
			return err
		}
		ready()
		if c.load.idle {
			<-ctx.Done()
		}
	}
	return nil
}

// hear reads one answer.
func (c *clients) hear(w *wire, began time.Time) error {
	if c.load.events > 0 {
		return c.listen(w, began)
	}
	good, err := w.answer()
	if err != nil {
		return err
	}
	if !good {
		c.failed()
		return nil
	}
	if c.measured.Load() {
		c.answers.Add(1)
		c.times.add(time.Since(began))
	}
	return nil
}

// listen reads one stream of events.
func (c *clients) listen(w *wire, began time.Time) error {
	head, err := w.head()
	if err != nil {
		return err
	}
	good, events := bytes.HasPrefix(head, okStatus), 0
	body := bufio.NewReader(w)
	lines := bufio.NewScanner(httputil.NewChunkedReader(body))
	for lines.Scan() {
		at, isEvent := bytes.CutPrefix(lines.Bytes(), []byte(eventMark))
		if !isEvent {
			continue
		}
		now := time.Now()
		stamp, _, _ := bytes.Cut(at, []byte(","))
		sent, err := strconv.ParseInt(string(stamp), 10, 64)
		if err != nil {
			return err
		}
		if events++; c.measured.Load() {
			c.times.add(now.Sub(time.Unix(0, sent)))
			if events == 1 {
				c.firsts.add(now.Sub(began))
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if !good || events != c.load.events {
		c.failed()
	} else if c.measured.Load() {
		c.answers.Add(1)
	}
	_, err = body.Discard(len("\r\n")) // the chunked reader leaves the empty line after the last chunk
	return err
}

// end has all of them go.
func (c *clients) end() {
	c.leave()
	c.conns.Range(func(conn, _ any) bool {
		_ = conn.(net.Conn).Close()
		return true
	})
	c.done.Wait()
}
