package upstream

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipe moves bytes from one wire to another within the kernel (splice(2)): a large body costs no copies. It holds what it took until
// it is drained, at most pipeRoom bytes, none of them in this process.
type Pipe struct {
	r, w       int
	held       int // bytes in it
	most       int // that fillSome may take
	n          int // that it took
	err        error
	fill, pour func(fd uintptr) bool
}

const (
	// pipeRoom is what a pipe is asked to hold. The kernel may grant less.
	pipeRoom = 256 << 10
	// mostPipes is how many are kept for use.
	mostPipes = 32
	// SpliceAtLeast is how many bytes of a body make it worth a pipe.
	SpliceAtLeast = 128 << 10
)

// pipes are empty and wait for use.
var pipes struct {
	sync.Mutex
	idle []*Pipe
}

// BorrowPipe is a pipe from one wire to another, to be returned; nil where bytes cannot go that way: a wire is no plain socket,
// or there are no descriptors.
func BorrowPipe(from, to *Wire) *Pipe {
	if from.raw == nil || to.raw == nil {
		return nil
	}
	pipes.Lock()
	defer pipes.Unlock()
	if last := len(pipes.idle) - 1; last >= 0 {
		p := pipes.idle[last]
		pipes.idle = pipes.idle[:last]
		return p
	}
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeRoom)
	p := &Pipe{r: ends[0], w: ends[1]}
	p.fill, p.pour = p.fillSome, p.pourSome
	return p
}

// Return gives the pipe back. One that still holds something is closed.
func (p *Pipe) Return() {
	if p == nil {
		return
	}
	pipes.Lock()
	defer pipes.Unlock()
	if p.held == 0 && len(pipes.idle) < mostPipes {
		pipes.idle = append(pipes.idle, p)
		return
	}
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// Fill takes what has come over the wire, at most that many bytes, waiting for the first. io.EOF says that the peer ended.
func (p *Pipe) Fill(from *Wire, most int64) (n int, err error) {
	if from.readDue.Load() == cut {
		return 0, ErrTimeout
	}
	p.most, p.n, p.err = int(min(most, pipeRoom)), 0, nil
	err = from.raw.Read(p.fill)
	if err == nil {
		err = p.err
	}
	p.held += p.n
	return p.n, plain(err)
}

func (p *Pipe) fillSome(fd uintptr) bool {
	n, errno := splice(int(fd), p.w, p.most)
	switch {
	case errno == syscall.EAGAIN: // the pipe is empty, so it is the socket that has nothing
		return false
	case errno != 0:
		p.err = errno
	case n == 0:
		p.err = io.EOF
	}
	p.n = n
	return true
}

// Drain sends all that the pipe holds.
func (p *Pipe) Drain(to *Wire) error {
	if to.writeDue.Load() == cut {
		return ErrTimeout
	}
	to.early, p.err = true, nil
	err := to.raw.Write(p.pour)
	if err == nil {
		err = p.err
	}
	return plain(err)
}

func (p *Pipe) pourSome(fd uintptr) bool {
	for p.held > 0 {
		n, errno := splice(p.r, int(fd), p.held)
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			p.err = errno
			return true
		case n == 0:
			p.err = errPipe
			return true
		}
		p.held -= n
	}
	return true
}

var errPipe = errors.New("the kernel took nothing from a pipe that holds something")

// splice is splice(2) between a socket and a pipe that does not wait; see sysRead for why it is raw.
func splice(from, to, most int) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != syscall.EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}
