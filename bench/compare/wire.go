package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// wire reads messages of known length from a connection, as cheaply as can be: what the clients and the model servers of a benchmark do
// takes time from the proxy that is measured. It trusts what it reads.
type wire struct {
	c    net.Conn
	buf  []byte
	from int // buf[from:to] was read and not taken
	to   int
}

const wireBuffer = 64 << 10

func newWire(c net.Conn) *wire { return &wire{c: c, buf: make([]byte, wireBuffer)} }

var (
	endOfHead     = []byte("\r\n\r\n")
	contentLength = []byte("\ncontent-length:")
	errEndless    = errors.New("a head that does not end")
)

// head reads a head, which is good until the next read.
func (w *wire) head() ([]byte, error) {
	for {
		if i := bytes.Index(w.buf[w.from:w.to], endOfHead); i >= 0 {
			head := w.buf[w.from : w.from+i+len(endOfHead)]
			w.from += len(head)
			return head, nil
		}
		if err := w.more(); err != nil {
			return nil, err
		}
	}
}

// more reads what there is, after what was not taken.
func (w *wire) more() error {
	if w.from == w.to {
		w.from, w.to = 0, 0
	}
	if w.to == len(w.buf) {
		if w.from == 0 {
			return errEndless
		}
		w.to, w.from = copy(w.buf, w.buf[w.from:w.to]), 0
	}
	n, err := w.c.Read(w.buf[w.to:])
	w.to += n
	if n > 0 {
		return nil
	}
	return err
}

// Read implements io.Reader for bodies that are read as they come.
func (w *wire) Read(p []byte) (int, error) {
	if w.from == w.to {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.from:w.to])
	w.from += n
	return n, nil
}

// skip reads a body of that length, and forgets it.
func (w *wire) skip(size int) error {
	n := min(size, w.to-w.from)
	w.from += n
	for size -= n; size > 0; size -= n {
		w.from, w.to = 0, 0
		var err error
		if n, err = w.c.Read(w.buf[:min(size, len(w.buf))]); n == 0 {
			return err
		}
	}
	return nil
}

// length is the Content-Length of a head; -1: there is none.
func length(head []byte) (int, error) {
	for rest := head; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 || i+len(contentLength) > len(rest) {
			return -1, nil
		}
		rest = rest[i:]
		if !bytes.EqualFold(rest[:len(contentLength)], contentLength) {
			rest = rest[1:]
			continue
		}
		value, _, _ := bytes.Cut(rest[len(contentLength):], endOfHead[:2])
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err != nil {
			return 0, fmt.Errorf("content-length %q", value)
		}
		return n, nil
	}
}

var okStatus = []byte("HTTP/1.1 200")

// answer reads an answer whose length is known, and says whether it is a good one.
func (w *wire) answer() (good bool, err error) {
	head, err := w.head()
	if err != nil {
		return false, err
	}
	good = bytes.HasPrefix(head, okStatus)
	size, err := length(head)
	if err != nil {
		return false, err
	}
	if size < 0 {
		return false, io.ErrUnexpectedEOF
	}
	return good, w.skip(size)
}
