package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// What an answer of Consul, or the want of one, comes to. Errors of [Consul]'s methods are one of these by errors.Is, or end with ctx.
var (
	// ErrConflict: what stands there is not what the caller last saw. Nothing was written.
	ErrConflict = errors.New("the key was changed meanwhile; read it again")
	// ErrUnreachable: no answer, or one that says that Consul cannot answer now. A write may have been done all the same.
	ErrUnreachable = errors.New("consul does not answer")
	// ErrTooLarge: a value above [MaxValue], or an answer above what is read of one.
	ErrTooLarge = errors.New("too large")
	// ErrForbidden: the token is missing, unknown or may not do this.
	ErrForbidden = errors.New("consul's ACL refuses this; check consul.token_file and the token's policies")
)

// ConsulOptions say which Consul, and as whom. Zero durations mean the defaults.
type ConsulOptions struct {
	// Address is http://host:port or https://host:port of an agent.
	Address string
	// Prefix begins every key: "mlproxy" for mlproxy/routes/... What is the fleet's own is below mlproxy-fleet/.
	Prefix string
	// Token is asked before every query, so that a token that was renewed is used at once. nil or "" = none.
	Token func() (string, error)
	// Authorities are asked for before every connection to an https:// agent. nil = the system's.
	Authorities func() (*x509.CertPool, error)
	// Log is told of changes: contact lost and found again, never of single queries.
	Log *slog.Logger
	// Wait is how long Consul may hold a query for which there is nothing new; 30s.
	Wait time.Duration
	// Patience is how long a query that need not wait may take; 5s.
	Patience time.Duration
	// SessionTTL is for how long Consul believes in an instance or a leader that says nothing; 10s.
	SessionTTL time.Duration
}

// Consul is a Consul agent as a source: of keys, of instances, and of what the fleet knows about itself. All its methods may be
// called at once. Nothing runs and no connection is open but inside a method.
type Consul struct {
	options ConsulOptions
	log     *slog.Logger
	door    *door
	client  *api.Client
	keys    standing
	keyPace *pace
	all     *pace // of catalogue queries, all services together
	callers *pace // of what others ask and write: however much, watches and sessions go on

	mu       sync.Mutex
	wanted   map[Service]bool
	services map[Service]*standing // of those watched now
	changed  chan struct{}         // holds one when wanted was changed
}

// NewConsul makes a source of the agent at o.Address. Nothing is asked yet: an agent that is down is an error of the methods.
func NewConsul(o ConsulOptions) (*Consul, error) {
	at, err := url.Parse(o.Address)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.Path != "" && at.Path != "/" {
		return nil, fmt.Errorf("consul address %q; write http://host:port or https://host:port", o.Address)
	}
	if strings.Trim(o.Prefix, "/") != o.Prefix || o.Prefix == "" {
		return nil, fmt.Errorf("consul prefix %q; write one without slashes at its ends, for instance mlproxy", o.Prefix)
	}
	o.Wait = orDefault(o.Wait, 30*time.Second)
	o.Patience = orDefault(o.Patience, 5*time.Second)
	o.SessionTTL = orDefault(o.SessionTTL, 10*time.Second)
	c := &Consul{
		options: o, log: o.Log, door: newDoor(o.Token, o.Authorities),
		keyPace: &pace{gap: 150 * time.Millisecond}, all: &pace{gap: 160 * time.Millisecond},
		callers:  &pace{gap: 200 * time.Millisecond, limit: 2 * time.Second},
		services: map[Service]*standing{}, changed: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.client, err = api.NewClient(&api.Config{
		Address: at.Host, Scheme: at.Scheme,
		Token:      "see door", // else the library takes one from the environment; the door puts the right one in its place
		HttpClient: &http.Client{Transport: c.door, CheckRedirect: noRedirect},
	})
	return c, err
}

// Queries counts what was asked of Consul so far, writes included.
func (c *Consul) Queries() int64 { return c.door.asked.Load() }

// key is a key's full name.
func (c *Consul) key(name string) string { return c.options.Prefix + "/" + name }

// briefly bounds a query that need not wait.
func (c *Consul) briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.options.Patience)
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
