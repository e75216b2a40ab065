package upstream

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBuffer bounds what the kernel takes of a peer for a reader that has stopped, in bytes; it keeps books of twice that (socket(7)).
// Left alone, the bound of a connection that was read fast grows to the third number of tcp_rmem, 32 MiB on many machines.
const receiveBuffer = 4 << 20

// boundReads has the kernel hold a TCP connection's unread bytes to receiveBuffer, where it grants that much.
func boundReads(socket syscall.RawConn) {
	if socket == nil || !grantsReceiveBuffer() {
		return
	}
	_ = socket.Control(func(fd uintptr) { // of a socket that is not TCP, or is closed, there is nothing to bound
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	})
}

// grantsReceiveBuffer tells whether net.core.rmem_max is that large. Where it is not, asking would make connections slow: what was asked
// for, cut to rmem_max, is what a connection keeps, while the kernel by itself goes as far as tcp_rmem.
var grantsReceiveBuffer = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	granted, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return err == nil && granted >= 2*receiveBuffer
})
