package admin

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mlproxy/control"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/shadow"
)

// Options are what the admin listener shows and steers.
type Options struct {
	// Loop carries out changes and knows what is in force; it must have begun.
	Loop *control.Loop
	// Registry joins feedback to versions.
	Registry *monitor.Registry
	// Table is the one in force.
	Table func() *router.Table
	// Metrics are served at /metrics.
	Metrics prometheus.Gatherer
	// Ready says why no traffic should be sent here now; nil when there is no reason.
	Ready func() error
	// Reload reads the config file again, for an author with a reason, and returns what became of it.
	Reload func(ctx context.Context, author, reason string) error
	// Listen are the addresses bound, as status shows them.
	Listen Listen
	// Version is the program's.
	Version string
	Log     *slog.Logger
}

// Listen are the addresses that the listeners are really bound to.
type Listen struct {
	Data  []string `json:"data"`
	Admin string   `json:"admin"`
}

// Status is the answer of GET /api/v1/status.
type Status struct {
	Version string `json:"version"`
	Listen  Listen `json:"listen"`
	control.Status
	// Compared is how the answers of shadows compare with the live ones, by route and pool.
	Compared map[string]map[string]shadow.Summary `json:"compared,omitempty"`
}

// Revisions is the answer of GET /api/v1/revisions, the newest first.
type Revisions struct {
	Revisions []control.Revision `json:"revisions"`
	// Fleet is what mlproxy history shows beside them; the API has it at /api/v1/history.
	Fleet []control.Event `json:"fleet,omitempty"`
}

// History is what operators changed in the fleet, the newest first.
type History struct {
	Events []control.Event `json:"events"`
}

// Server is the admin listener's HTTP server.
type Server struct {
	Options
	http     *http.Server
	attempts attempts
}

// New makes a server; nothing is started.
func New(o Options) *Server {
	s := &Server{Options: o}
	s.http = &http.Server{
		Handler:           s.guarded(s.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // profiles lengthen it by what they were asked for
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve answers on ln until Shutdown; it closes ln.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Shutdown closes the listener, lets running requests finish until ctx ends, and then cuts what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}
