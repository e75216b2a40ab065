package upstream

import (
	"io"
	"syscall"
)

// live is a wire's reading within one call of the poller; see [Reader.Each].
type live struct {
	use  func() bool
	call func(fd uintptr) bool
	err  error
}

// Each waits for bytes and has use take them from Bytes, again and again, as long as use says that it took all of them and waits for more.
// It returns nil when use says otherwise, and an error when nothing more can come. use must not read the wire, and may not outlast it. It
// may write to it: what the socket takes at once goes there without a call of the poller's own.
//
// All of this is one call of the poller, which is reset once, before the first wait: whatever comes while use is at work is seen, and a
// read that would only say that nothing has come yet (0.5 us) is saved each time. That is for plain sockets alone; see [Wire.Plain].
func (r *Reader) Each(use func() bool) error {
	if r.wire.readDue.Load() == cut {
		return ErrTimeout
	}
	if r.live.call == nil {
		r.live.call = r.takeSome
	}
	r.live.use, r.live.err = use, nil
	err := r.wire.raw.Read(r.live.call)
	if err == nil {
		err = r.live.err
	}
	return plain(err)
}

// Plain says that the wire is a plain socket.
func (w *Wire) Plain() bool { return w.raw != nil }

// takeSome reads once and has it used. A read that fills the buffer may have left something in the socket, of which the poller will not
// tell again: then it reads on.
func (r *Reader) takeSome(fd uintptr) bool {
	for {
		if r.buf == nil {
			r.buf = Borrow()
		}
		r.room()
		space := r.buf[r.w:]
		n, errno := sysRead(int(fd), space)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			r.Drop()
			return false
		case errno != 0:
			r.live.err = errno
			return true
		case n == 0:
			r.live.err = io.EOF
			return true
		}
		r.w += n
		r.wire.lent = int(fd)
		more := r.live.use()
		r.wire.lent = 0
		if !more {
			return true
		}
		if n < len(space) {
			return false
		}
	}
}
