package protocol

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Adapter reads the bodies of one wire protocol. It is tolerant: it never fails, it notes what it could not read as a fault of the
// facts. It changes nothing, keeps nothing of a message, and may be used by many goroutines at once.
type Adapter interface {
	// Request adds what a request asks.
	Request(m *Message, f *Facts)
	// Response adds what the answer says. The facts are those of its request, if that was read at all.
	Response(m *Message, f *Facts)
}

// Eventer is an Adapter that reads event streams.
type Eventer interface {
	// Event reads the data of one event; at is the time since the request was sent, clocked at the read from the model server.
	Event(data []byte, at time.Duration, s *Stream)
}

// Message is a request or an answer. The adapter borrows it for the call.
type Message struct {
	Path        string // of the request
	ContentType string
	Encoding    string                   // Content-Encoding; the body stands as on the wire
	Status      int                      // of an answer
	Header      func(name string) string // may be nil; the name is canonical
	Body        []byte
	Cut         bool // the body is not all of it
}

// adapters makes them, by the name that routes.*.protocol has for them.
var adapters = map[string]func(options func(dst any) error) (Adapter, error){}

// register is called by the init function of each adapter's file.
func register(name string, build func(options func(dst any) error) (Adapter, error)) {
	adapters[name] = build
}

// New makes the adapter of a protocol. Options decodes the protocol's own keys into dst, a pointer to a struct with yaml tags, and refuses
// unknown ones; nil means that there are none.
func New(name string, options func(dst any) error) (Adapter, error) {
	build := adapters[name]
	if build == nil {
		return nil, fmt.Errorf("protocol is %q; write %s", name, strings.Join(Names(), " or "))
	}
	if options == nil {
		options = func(any) error { return nil }
	}
	a, err := build(options)
	if err != nil {
		return nil, err
	}
	return inflated(a), nil
}

// Names are the protocols there are, in order.
func Names() []string { return slices.Sorted(maps.Keys(adapters)) }
