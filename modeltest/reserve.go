package modeltest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Reserve takes a port of 127.0.0.1 at which nobody listens: connections are refused, and nobody else gets it. open begins to listen
// there, once; give gives the port back if it was not opened.
func Reserve() (address string, open func() (net.Listener, error), give func(), err error) {
	socket, address, err := bind(false)
	if err != nil {
		return "", nil, nil, err
	}
	give = func() { _ = socket.Close() }
	open = func() (net.Listener, error) {
		defer give()
		if err := syscall.Listen(int(socket.Fd()), syscall.SOMAXCONN); err != nil {
			return nil, err
		}
		return net.FileListener(socket) // a duplicate of the descriptor
	}
	return address, open, give, nil
}

// Hold takes n ports of 127.0.0.1 for processes that listen there in turn, with SO_REUSEADDR, as Go's do: the system gives them to nobody
// who asks for any port or connects from one, also while nobody listens. give gives them back.
func Hold(n int) (ports []string, give func(), err error) {
	var held []*os.File
	give = func() {
		for _, socket := range held {
			_ = socket.Close()
		}
	}
	for range n {
		socket, address, err := bind(true)
		if err != nil {
			give()
			return nil, nil, err
		}
		held, ports = append(held, socket), append(ports, strings.TrimPrefix(address, "127.0.0.1:"))
	}
	return ports, give, nil
}

// bind is a socket at a port that the system chose. It does not listen. If it is shared, another socket may.
func bind(shared bool) (socket *os.File, address string, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("no port can be reserved: %w", err)
	}
	socket = os.NewFile(uintptr(fd), "reserved port")
	if shared {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		address, err = boundTo(fd)
	}
	if err != nil {
		_ = socket.Close()
		return nil, "", fmt.Errorf("no port can be reserved: %w", err)
	}
	return socket, address, nil
}

func boundTo(fd int) (string, error) {
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), nil
}
