package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// inheritance is what the process was given, open, by the one that started it: sockets by systemd (sd_listen_fds(3)) or by the demo, or all that a
// successor needs by the mlproxy before it. Descriptors not asked for in the end are closed by [inheritance.settle].
type inheritance struct {
	giver   string // for messages
	sockets []*socket
	lock    *os.File // of state_dir; nil when there is none
	before  *os.File // leads to the mlproxy before; nil when there is none
}

// socket is one that listens already.
type socket struct {
	ln   *net.TCPListener
	name string // "data", "admin", or whatever systemd's unit calls it
	of   string // the config's address it was bound for; "" when not known
	used bool
}

const (
	firstDescriptor = 3 // after standard input, output and error
	dataSocket      = "data"
	adminSocket     = "admin"

	// handoverEnv names the descriptors that a successor is given, in order: data=ADDRESS, admin=ADDRESS, lock, before.
	handoverEnv = "MLPROXY_HANDOVER"
)

// inherit takes what the environment tells of, and removes it from there: it is for this process alone.
func inherit() (*inheritance, error) {
	handover, activated := os.Getenv(handoverEnv), os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid())
	count, names := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{handoverEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	switch {
	case handover != "":
		return fromProcess(strings.Split(handover, ","))
	case activated:
		return fromSystemd(count, names)
	}
	return &inheritance{}, nil
}

// fromProcess takes what the mlproxy before this one gives.
func fromProcess(names []string) (*inheritance, error) {
	in := &inheritance{giver: "the process before"}
	for i, name := range names {
		f := descriptor(firstDescriptor+i, name)
		switch kind, of, _ := strings.Cut(name, "="); kind {
		case dataSocket, adminSocket:
			if err := in.add(f, kind, of); err != nil {
				return nil, err
			}
		case "lock":
			in.lock = f
		case "before":
			in.before = f
		default:
			return nil, fmt.Errorf("%s names a descriptor %q, which this version does not know; restart mlproxy instead of upgrading it", handoverEnv, name)
		}
	}
	return in, nil
}

// fromSystemd takes the sockets of a .socket unit.
func fromSystemd(count, names string) (*inheritance, error) {
	in := &inheritance{giver: "systemd"}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q; it must be the number of descriptors passed", count)
	}
	called := strings.Split(names, ":")
	for i := range n {
		name := "unknown"
		if i < len(called) && called[i] != "" {
			name = called[i]
		}
		if err := in.add(descriptor(firstDescriptor+i, name), name, ""); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// descriptor is an open one, from now on for this process alone.
func descriptor(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

// add takes a socket; f is closed.
func (in *inheritance) add(f *os.File, name, of string) error {
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("the descriptor %q from %s is no socket that listens: %w", name, in.giver, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return fmt.Errorf("the socket %q from %s is of the kind %s; mlproxy listens on TCP", name, in.giver, ln.Addr().Network())
	}
	in.sockets = append(in.sockets, &socket{ln: tcp, name: name, of: of})
	return nil
}

// listen is the inherited socket of an address, or a new one. kind is dataSocket or adminSocket.
func (in *inheritance) listen(kind, address string) (*net.TCPListener, error) {
	fits := func(s *socket) bool { return s.fits(kind, address) }
	if i := slices.IndexFunc(in.sockets, fits); i >= 0 {
		in.sockets[i].used = true
		return in.sockets[i].ln, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// fits says whether the socket is the one that an address of the config means. Names only keep data and admin apart: what one of
// them is open to is decided where the config is checked, so the address must be right.
func (s *socket) fits(kind, address string) bool {
	if s.used || s.name != kind && (s.name == dataSocket || s.name == adminSocket) {
		return false
	}
	if s.of == address && address != "" {
		return true
	}
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	bound := s.ln.Addr().(*net.TCPAddr)
	everywhere := bound.IP.IsUnspecified() && (want.IP == nil || want.IP.IsUnspecified())
	return (want.Port == bound.Port || want.Port == 0) && (everywhere || want.IP.Equal(bound.IP))
}

// close closes all sockets, also those in use; a second time does nothing.
func (in *inheritance) close() {
	for _, s := range in.sockets {
		_ = s.ln.Close()
	}
}

// settle closes the sockets that no address of the config has asked for. A predecessor's may be left over, for an upgrade may change
// the addresses; one of another giver is a fault.
func (in *inheritance) settle(data []string, admin string) error {
	var faults []error
	for _, s := range in.sockets {
		if s.used {
			continue
		}
		_ = s.ln.Close()
		if in.before == nil {
			faults = append(faults, fmt.Errorf("the socket %q from %s is bound to %s, but listen is %s and admin.listen is %s; "+
				"make the addresses of the .socket unit and of the config the same", s.name, in.giver, s.ln.Addr(), strings.Join(data, ", "), admin))
		}
	}
	return errors.Join(faults...)
}
