package upstream

import (
	"io"
	"syscall"
)

// live is a wire's reading within one call of the poller; see [Reader.Each].
type live struct {
	use   func() bool
	alone bool
	call  func(fd uintptr) bool
	err   error
}

// Each waits for bytes and has use take them from Bytes, again and again, as long as use says that it took what it could of them and waits
// for more. It returns nil when use says otherwise, and an error when nothing more can come. use must not read the wire, and may not outlast it.
//
// All of this is one call of the poller, which is reset once, before the first wait: whatever comes while use is at work is seen, and a
// read that would only say that nothing has come yet (0.5 us) is saved each time. That is for plain sockets alone; see [Wire.Plain].
func (r *Reader) Each(use func() bool) error { return r.each(use, false) }

// EachAlone is Each where nobody but use writes to the wire: what the socket takes at once goes there without a call of the poller's own.
func (r *Reader) EachAlone(use func() bool) error { return r.each(use, true) }

func (r *Reader) each(use func() bool, alone bool) error {
	if r.wire.readDue.Load() == cut {
		return ErrTimeout
	}
	if r.live.call == nil {
		r.live.call = r.takeSome
	}
	r.live.use, r.live.alone, r.live.err = use, alone, nil
	err := r.wire.raw.Read(r.live.call)
	r.live.use = nil
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
			if r.base == 0 {
				r.Drop()
			}
			return false
		case errno != 0:
			r.live.err = errno
			return true
		case n == 0:
			r.live.err = io.EOF
			return true
		}
		r.w += n
		if !r.used(int(fd)) {
			return true
		}
		if n < len(space) {
			return false
		}
	}
}

// used has what has come used. Meanwhile the wire may write to the socket itself if nobody else does.
func (r *Reader) used(fd int) (waits bool) {
	if !r.live.alone {
		return r.live.use()
	}
	r.wire.lent = fd
	waits = r.live.use()
	r.wire.lent = 0
	return waits
}
