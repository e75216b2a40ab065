package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Role keeps the connections and the state of live traffic apart from those of copies.
type Role uint8

// The two roles of an endpoint.
const (
	Live Role = iota
	Copies
)

// Options are what one table says of connecting to a pool's endpoints.
type Options struct {
	// ConnectTimeout bounds the making of one connection.
	ConnectTimeout time.Duration
	// MaxConnections bounds the connections to one endpoint; 0 = no bound.
	MaxConnections int
}

// Endpoint is one model server and the connections to it.
type Endpoint struct {
	url, addr string
	load      atomic.Int64
}

// URL is the endpoint as the config names it.
func (e *Endpoint) URL() string { return e.url }

// Addr is the endpoint's host:port.
func (e *Endpoint) Addr() string { return e.addr }

// InFlight is how many exchanges are with the endpoint now, until their last byte.
func (e *Endpoint) InFlight() int64 { return e.load.Load() }

// Reach tries to make one connection and says why it could not.
func (e *Endpoint) Reach(ctx context.Context, o *Options) error { return errors.New("not there yet") }

// Send writes one whole request as it goes on the wire, reads the answer and hands its decoded body bytes to sink.
func (e *Endpoint) Send(o *Options, method string, request []byte, deadline time.Time, sink func([]byte)) (status int, err error) {
	return 0, errors.New("not there yet")
}

// Endpoints are the endpoints that outlive tables, by role, pool and URL.
type Endpoints struct{}

// NewEndpoints makes an empty set.
func NewEndpoints() *Endpoints { return &Endpoints{} }

// Get is the endpoint of that role, pool and URL, made when it is new.
func (s *Endpoints) Get(role Role, pool, url string) *Endpoint { return &Endpoint{url: url} }

// Retain closes and forgets every endpoint that keep does not want.
func (s *Endpoints) Retain(keep func(*Endpoint) bool) {}
