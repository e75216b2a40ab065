package modeltest

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Reserve takes a port of 127.0.0.1 at which nobody listens: connections are refused, and nobody else gets it. open begins to listen
// there, once; give gives the port back if it was not opened.
func Reserve() (address string, open func() (net.Listener, error), give func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return "", nil, nil, fmt.Errorf("no port can be reserved: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	give = func() { _ = socket.Close() }
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		address, err = boundTo(fd)
	}
	if err != nil {
		give()
		return "", nil, nil, fmt.Errorf("no port can be reserved: %w", err)
	}
	open = func() (net.Listener, error) {
		defer give()
		if err := syscall.Listen(fd, syscall.SOMAXCONN); err != nil {
			return nil, err
		}
		return net.FileListener(socket) // a duplicate of the descriptor
	}
	return address, open, give, nil
}

func boundTo(fd int) (string, error) {
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), nil
}
