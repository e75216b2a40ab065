package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// model is a model server that thinks for a while and answers what it always answers. It counts whom it served.
type model struct {
	load     *workload
	listener net.Listener
	served   atomic.Int64
	answer   []byte

	conns sync.Map // net.Conn -> nil
	done  sync.WaitGroup
}

// serve begins a model server. It hears every address of the loopback, so that one of them can be a thousand endpoints.
func serve(load *workload) (*model, error) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	text := body("predictions", load.answer)
	m := &model{load: load, listener: l, answer: fmt.Appendf(nil,
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)}
	m.done.Go(m.accept)
	return m, nil
}

func (m *model) port() int { return m.listener.Addr().(*net.TCPAddr).Port }

// addresses are n of those under which it is reached.
func (m *model) addresses(n int) (all []string) {
	for i := range n {
		all = append(all, net.JoinHostPort(fmt.Sprintf("127.0.%d.%d", i/250, i%250+1), strconv.Itoa(m.port())))
	}
	return all
}

func (m *model) accept() {
	for {
		c, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.conns.Store(c, nil)
		m.done.Go(func() {
			defer m.conns.Delete(c)
			defer c.Close()
			m.converse(newWire(c))
		})
	}
}

func (m *model) converse(w *wire) {
	for {
		head, err := w.head()
		if err != nil {
			return
		}
		size, err := length(head)
		if err != nil || w.skip(max(size, 0)) != nil {
			return
		}
		if m.load.work > 0 {
			time.Sleep(m.load.work)
		}
		m.served.Add(1)
		if m.load.events > 0 {
			err = m.stream(w.c)
		} else {
			_, err = w.c.Write(m.answer)
		}
		if err != nil {
			return
		}
	}
}

// stream sends events as a language model does, each with the time at which it was sent.
func (m *model) stream(c net.Conn) error {
	if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")); err != nil {
		return err
	}
	ticks := time.NewTicker(m.load.every)
	defer ticks.Stop()
	for range m.load.events {
		<-ticks.C
		event := eventMark + strconv.FormatInt(time.Now().UnixNano(), 10) +
			`,"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", 100) + `"}}]}` + "\n\n"
		if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", len(event), event); err != nil {
			return err
		}
	}
	_, err := c.Write([]byte("0\r\n\r\n"))
	return err
}

// eventMark begins each event; the time in nanoseconds follows.
const eventMark = `data: {"at":`

func (m *model) close() {
	_ = m.listener.Close()
	m.conns.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
	m.done.Wait()
}
