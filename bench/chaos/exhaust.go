package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"mlproxy/modeltest"
)

// exhaustions try to use up what mlproxy has: memory, connections, descriptors.
func exhaustions() []scenario {
	const s, ms = time.Second, time.Millisecond
	head := "POST " + inferPath + " HTTP/1.1\r\nHost: models.example\r\n"
	quick := fastWhileDown(100 * ms)
	dripping := &attack{full: 500, short: 100, opening: head + "Content-Length: 100000\r\n\r\n{", drip: " ", every: s, reads: true, lasts: 8 * s}
	large := &attack{full: 100, short: 20, opening: head + "X-Large: " + strings.Repeat("l", 1<<20) + "\r\n\r\n", reads: true, lasts: 6 * s}
	return []scenario{
		{
			name: "slowloris", what: "2000 connections send a byte of a head each second",
			cause:    attacking(&attack{full: 2000, short: 500, opening: head + "X-Slow: ", drip: "s", every: s, reads: true, lasts: 14 * s}),
			promises: []promise{failures(0), quick, allCutIn(8 * s), grows(100)},
		},
		{
			name: "drip", what: "500 connections send a byte of a body each second",
			cause:    departing(attacking(dripping)),
			promises: []promise{failures(0), quick, grows(100), goneIn(2 * s)},
		},
		{
			name: "claims", what: "200 connections claim 64 MB bodies and send nothing of them",
			cause:    departing(attacking(&attack{full: 200, short: 100, opening: head + "Content-Length: 64000000\r\n\r\n", reads: true, lasts: 6 * s})),
			promises: []promise{failures(0), quick, grows(32)},
		},
		{
			name: "unread", what: "100 connections do not read the 100 MB they are answered",
			cause:    taking(departing(attacking(&attack{full: 100, short: 20, opening: asking("size=100000000"), lasts: 8 * s}))),
			promises: []promise{failures(0), grows(100), goneIn(2 * s), takes(32)},
		},
		{
			name: "large-heads", what: "100 connections send heads of 1 MB",
			cause:    attacking(large),
			promises: []promise{failures(0), quick, allTold("HTTP/1.1 431"), grows(64)},
		},
		{
			name: "many-fields", what: "100 connections send heads of 3000 fields",
			cause:    attacking(&attack{full: 100, short: 20, opening: head + strings.Repeat("A:b\r\n", 3000) + "\r\n", reads: true, lasts: 6 * s}),
			promises: []promise{failures(0), quick, allTold("HTTP/1.1 431"), grows(64)},
		},
		{
			name: "offered", what: "256 MB are offered to a model server that does not read", settings: "limits: {max_body: 1GiB}\n",
			cause: offering(256 << 20), promises: []promise{failures(0), takes(32), grows(32)},
		},
		{
			name: "descriptors", what: "700 clients are idle, of 300 descriptors", files: 300, rate: 100,
			cause:    attacking(&attack{full: 700, short: 700, reads: true, lasts: 4 * s}),
			promises: []promise{failedShare(0.01), fastWhileDown(s), servingWithin(2 * s)},
		},
		{
			name: "streams", what: "100 clients read streams, and leave", cause: departing(streaming(100, 30)),
			promises: []promise{failures(0), eventsWithin(100 * ms), goneIn(2 * s), grows(32)},
		},
	}
}

// asking is a request of which the model server makes trouble, in the words of modeltest.
func asking(words string) string {
	body := modeltest.InferBody([][]float64{{5.1, 3.5, 1.4, 0.2}})
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: models.example\r\nX-Modeltest: %s\r\nContent-Length: %d\r\n\r\n%s", inferPath, words, len(body), body)
}

// departing times how long model servers go on with the requests of clients that have left when the cause returns.
func departing(c cause) cause {
	return func(ctx context.Context, x *experiment) error {
		if err := c(ctx, x); err != nil {
			return err
		}
		left := time.Now()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		for {
			running, err := x.running(ctx)
			if err != nil {
				return err
			}
			if running <= int64(x.seen.Hostile/10) { // those of users
				x.seen.Gone = time.Since(left)
				break
			}
			if err := wait(ctx, 10*time.Millisecond); err != nil {
				return fmt.Errorf("%d requests are still with model servers: %w", running, err)
			}
		}
		return nil
	}
}

// taking notes how much of one answer was taken from a model server.
func taking(c cause) cause {
	return func(ctx context.Context, x *experiment) error {
		if err := c(ctx, x); err != nil {
			return err
		}
		longest, err := x.numbers(ctx, longestPath)
		if err == nil {
			x.seen.Taken = slices.Max(longest)
		}
		return err
	}
}

// running is how many requests are with model servers.
func (x *experiment) running(ctx context.Context) (n int64, err error) {
	running, err := x.numbers(ctx, runningPath)
	for _, of := range running {
		n += of
	}
	return n, err
}

// numbers asks each model server for one.
func (x *experiment) numbers(ctx context.Context, path string) (numbers []int64, err error) {
	for _, s := range x.servers {
		text, err := get(ctx, "http://"+s.addr+path)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// offering offers bytes until nobody has taken any for a while.
func offering(size int) cause {
	return func(_ context.Context, x *experiment) error {
		c, err := net.Dial("tcp", x.data)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.(*net.TCPConn).SetLinger(0) // else the end of the connection waits behind what nobody takes, and nobody sees it
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: models.example\r\nX-Modeltest: early,hang\r\nContent-Length: %d\r\n\r\n", inferPath, size)
		if _, err := io.WriteString(c, head); err != nil {
			return err
		}
		piece := make([]byte, 64<<10)
		for int(x.seen.Taken) < size {
			_ = c.SetWriteDeadline(time.Now().Add(either(x, 3*time.Second, time.Second)))
			n, err := c.Write(piece)
			x.seen.Taken += int64(n)
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				return nil
			} else if err != nil {
				return fmt.Errorf("after %d bytes: %w", x.seen.Taken, err)
			}
		}
		return nil
	}
}
