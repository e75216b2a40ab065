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

// plugs are the protocols by the name that routes.*.protocol has for them.
var plugs = map[string]plug{}

type plug struct {
	able  extent
	build func(*Extract) Adapter // of what has no faults
}

// register is called by the init function of each adapter's file.
func register(name string, able extent, build func(*Extract) Adapter) {
	plugs[name] = plug{able, build}
}

// New makes the adapter of a protocol. Nothing has to be said beyond its name: x may be nil. What is wrong with x are [ExtractFaults].
func New(name string, x *Extract) (Adapter, error) {
	p, known := plugs[name]
	if !known {
		return nil, fmt.Errorf("protocol is %q; write %s", name, strings.Join(Names(), " or "))
	}
	if x == nil {
		x = new(Extract)
	}
	if faults := x.faults(name, p.able); len(faults) > 0 {
		return nil, faults
	}
	return inflated(p.build(x)), nil
}

// Names are the protocols there are, in order.
func Names() []string { return slices.Sorted(maps.Keys(plugs)) }
