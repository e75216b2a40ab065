package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is one end of a connection, the client's or the model server's. A TCP socket is read and written by non-blocking
// system calls of our own under the runtime's poller, so that the scheduler need not hear of them; any other
// connection (TLS, see [NewSecureWire]) goes through its own Read and Write.
//
// One goroutine may read while another writes. Deadlines are coarse: [Wire.ReadWithin] and [Wire.WriteWithin] store a
// number, and the [Watch] cuts what is overdue. A direction that was cut stays cut.
type Wire struct {
	conn              net.Conn
	raw               syscall.RawConn // nil: not a plain socket
	secure            *secured        // nil: no TLS
	in, out           transfer
	peek              peeking
	lent              int    // the socket, while a call of the poller lends it to whoever uses what came; else 0
	held              []byte // a request to be written by the next Read
	given             bool   // held is a borrowed buffer, to be returned when it is written
	early             bool   // an answer may be there before it leaves: the wire is new, or parts of the request went out
	readDue, writeDue atomic.Int64
	watch             *Watch
	slot              int // place in watch.wires; guarded by watch.mu
}

// transfer is one direction's arguments and results, kept here because a RawConn calls back.
type transfer struct {
	p    []byte
	n    int
	err  error
	call func(fd uintptr) bool
}

// cut in place of a due time says that the deadline passed and that the direction is closed for good.
const cut = -1

// ErrTimeout says that the watch cut the wire.
var ErrTimeout = os.ErrDeadlineExceeded

// NewWire wraps conn; w holds it to its deadlines until Close.
func NewWire(conn net.Conn, w *Watch) *Wire {
	wire := &Wire{conn: conn, watch: w, early: true}
	if tcp, ok := conn.(*net.TCPConn); ok {
		wire.raw, _ = tcp.SyscallConn() // an error leaves nil: the plain path works as well
		boundReads(wire.raw)
	}
	wire.in.call, wire.out.call, wire.peek.look = wire.readSome, wire.writeSome, wire.peek.at
	w.add(wire)
	return wire
}

// Conn is the wrapped connection.
func (w *Wire) Conn() net.Conn { return w.conn }

// Close closes the connection; a Read or Write that waits returns. Over TLS the peer is told that this is the end, but not when the
// wire was cut: it took nothing for too long, or must not take what it has for complete.
func (w *Wire) Close() error {
	w.watch.remove(w)
	if w.secure != nil && w.writeDue.Load() == cut {
		return w.secure.socket.Close()
	}
	return w.conn.Close()
}

// Reset closes the connection with a RST where there is such a thing: the peer must not take what it has for complete.
func (w *Wire) Reset() error {
	conn := w.conn
	if w.secure != nil {
		w.writeDue.Store(cut)
		conn = w.secure.socket.Socket
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return w.Close()
}

// CloseWrite tells the peer that nothing more will come, and reads on.
func (w *Wire) CloseWrite() error {
	half, ok := w.conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// ReadWithin gives the reads to come d from now; 0 takes the limit away.
func (w *Wire) ReadWithin(d time.Duration) { w.arm(&w.readDue, d) }

// WriteWithin gives the writes to come d from now; 0 takes the limit away.
func (w *Wire) WriteWithin(d time.Duration) { w.arm(&w.writeDue, d) }

func (w *Wire) arm(due *atomic.Int64, d time.Duration) {
	at := int64(0)
	if d > 0 {
		at = w.watch.due(d)
	}
	for old := due.Load(); old != cut && old != at && !due.CompareAndSwap(old, at); old = due.Load() {
	}
}

// Rest takes both limits away and says whether the wire may be used again: false once it was cut.
func (w *Wire) Rest() bool {
	w.ReadWithin(0)
	w.WriteWithin(0)
	return w.readDue.Load() != cut && w.writeDue.Load() != cut
}

// Cut ends the waiting of both directions for good; the connection stays open until Close.
func (w *Wire) Cut() {
	w.CutRead()
	if w.writeDue.Swap(cut) != cut {
		_ = w.conn.SetWriteDeadline(past)
	}
}

// CutRead ends the waiting of reads for good.
func (w *Wire) CutRead() {
	if w.readDue.Swap(cut) != cut {
		_ = w.conn.SetReadDeadline(past)
	}
}

// Reads says that reads were not cut.
func (w *Wire) Reads() bool { return w.readDue.Load() != cut }

// Resume lets reads wait again that were cut. Nobody else may be using the wire.
func (w *Wire) Resume() {
	w.watch.mu.Lock() // which may be between cutting the wire and saying so
	defer w.watch.mu.Unlock()
	w.readDue.Store(0)
	_ = w.conn.SetReadDeadline(time.Time{})
}

// Linger gives reads d from now even if they were cut. Nobody else may be using the wire.
func (w *Wire) Linger(d time.Duration) {
	w.readDue.Store(0)
	_ = w.conn.SetReadDeadline(time.Now().Add(d))
}

var past = time.Unix(1, 0)

// expire cuts what is overdue at now.
func (w *Wire) expire(now int64) {
	if at := w.readDue.Load(); at > 0 && at < now && w.readDue.CompareAndSwap(at, cut) {
		_ = w.conn.SetReadDeadline(past)
	}
	if at := w.writeDue.Load(); at > 0 && at < now && w.writeDue.CompareAndSwap(at, cut) {
		_ = w.conn.SetWriteDeadline(past)
	}
}

// Read reads what is there, waiting for the first byte.
func (w *Wire) Read(p []byte) (int, error) {
	if w.readDue.Load() == cut {
		return 0, ErrTimeout
	}
	if w.raw == nil {
		return w.readPlain(p)
	}
	_, n, err := w.readRaw(p)
	return n, err
}

// readBorrowed is Read into a buffer that is borrowed once there is something to read: a wire that waits holds none. The
// buffer is nil when nothing was read.
func (w *Wire) readBorrowed() ([]byte, int, error) {
	if w.readDue.Load() == cut {
		return nil, 0, ErrTimeout
	}
	if w.raw != nil {
		return w.readRaw(nil)
	}
	if w.secure != nil {
		return w.readSecure()
	}
	p := Borrow()
	n, err := w.readPlain(p)
	if n == 0 {
		Return(p)
		return nil, 0, err
	}
	return p, n, err
}

// readRaw reads into p, or into a borrowed buffer when p is nil.
func (w *Wire) readRaw(p []byte) ([]byte, int, error) {
	w.in.p, w.in.n, w.in.err = p, 0, nil
	err := w.raw.Read(w.in.call)
	p, w.in.p = w.in.p, nil
	if err == nil {
		err = w.in.err
	}
	return p, w.in.n, plain(err)
}

// plain is ErrTimeout itself where err wraps it.
func plain(err error) error {
	if errors.Is(err, ErrTimeout) {
		return ErrTimeout
	}
	return err
}

func (w *Wire) readPlain(p []byte) (int, error) {
	if err := w.sendHeld(); err != nil {
		return 0, err
	}
	n, err := w.conn.Read(p)
	return n, plain(err)
}

func (w *Wire) sendHeld() error {
	held := w.held
	if held == nil {
		return nil
	}
	_, err := w.Write(held)
	w.letGo()
	return err
}

// letGo forgets what was held back.
func (w *Wire) letGo() {
	if w.given {
		Return(w.held)
	}
	w.held, w.given = nil, false
}

// readSome is one try to read; a request held back goes out first. It then waits without trying: the poller was reset
// before the request left, so the answer's arrival cannot be missed, and a read that only says EAGAIN (0.5 us) is saved.
// But an early answer may have come before the reset.
func (w *Wire) readSome(fd uintptr) bool {
	if held := w.held; held != nil {
		early := w.early
		ok := w.writeHeld(int(fd), held)
		w.letGo()
		w.early = false
		if !ok || !early {
			return !ok
		}
	}
	p := w.in.p
	if p == nil {
		p = Borrow()
	}
	n, errno := sysRead(int(fd), p)
	for errno == syscall.EINTR {
		n, errno = sysRead(int(fd), p)
	}
	switch {
	case errno == 0 && n == 0:
		w.in.err = io.EOF
	case errno != 0 && errno != syscall.EAGAIN:
		w.in.err = errno
	}
	if w.in.n = n; n > 0 {
		w.in.p = p
	} else if w.in.p == nil {
		Return(p)
	}
	return errno != syscall.EAGAIN
}

// writeHeld writes b whole and says so; what the socket does not take at once goes the waiting way.
func (w *Wire) writeHeld(fd int, b []byte) bool {
	n, errno := sysWrite(fd, b)
	if errno != 0 {
		n = 0
	}
	if n == len(b) {
		return true
	}
	_, w.in.err = w.Write(b[n:])
	return w.in.err == nil
}

// Write writes all of p.
func (w *Wire) Write(p []byte) (int, error) {
	if w.writeDue.Load() == cut {
		return 0, ErrTimeout
	}
	w.early = true
	if w.raw == nil {
		n, err := w.conn.Write(p)
		return n, plain(err)
	}
	w.out.p, w.out.n, w.out.err = p, 0, nil
	if w.lent > 0 && w.writeSome(uintptr(w.lent)) {
		w.out.p = nil
		return w.out.n, w.out.err
	}
	err := w.raw.Write(w.out.call)
	w.out.p = nil
	if err == nil {
		err = w.out.err
	}
	return w.out.n, plain(err)
}

func (w *Wire) writeSome(fd uintptr) bool {
	for w.out.n < len(w.out.p) {
		n, errno := sysWrite(int(fd), w.out.p[w.out.n:])
		switch errno {
		case 0:
			w.out.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			w.out.err = errno
			return true
		}
	}
	return true
}

// Hold keeps p to be written by the next Read, which saves a system call. p must stay as it is until then.
func (w *Wire) Hold(p []byte) { w.held, w.given = p, false }

// Give is Hold for a borrowed buffer, which is the wire's from now on: it is not held while the answer is waited for, but is there, and in
// the processor's cache, for the next request.
func (w *Wire) Give(p []byte) { w.held, w.given = p, true }

// Quiet says that nothing has come and that the peer has not closed: what must be true of a connection that is to be
// used again, since any byte that waits is no answer to a request not yet sent. It must not be asked while somebody reads.
func (w *Wire) Quiet() bool {
	if w.secure != nil {
		return w.secure.quiet()
	}
	return w.Still()
}

// Still is Quiet for others than the reader: over TLS a byte that waits may be of no consequence.
func (w *Wire) Still() bool {
	raw := w.raw
	if w.secure != nil {
		raw = w.secure.socket.raw
	}
	return raw == nil || raw.Control(w.peek.look) == nil && w.peek.err == syscall.EAGAIN
}

// peeking is Quiet's callback and its result, kept here so that a look allocates nothing.
type peeking struct {
	b    [1]byte
	err  syscall.Errno
	look func(fd uintptr)
}

func (p *peeking) at(fd uintptr) {
	_, _, p.err = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(ptr(p.b[:])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
}

// Gone says that the peer has left: it closed, or shut its sending side with nothing left to read, or reset.
func (w *Wire) Gone() bool {
	conn, look := w.conn, hungUp
	if w.secure != nil {
		conn, look = w.secure.socket, hungUpSecurely
	}
	tcp, ok := conn.(interface {
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) { gone = look(int(fd)) })
	return err != nil || gone
}

func hungUp(fd int) bool {
	return departed(fd, func() bool {
		var b [1]byte
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n == 0 && err == nil // bytes that wait are a pipelined request: its sender wants answers
	})
}

// departed says that the connection is broken, or that the peer sends no more and what it sent last says that it has left.
func departed(fd int, last func() bool) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if n, err := unix.Poll(p, 0); err != nil || n == 0 {
		return false
	}
	if p[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		return true
	}
	return last()
}
