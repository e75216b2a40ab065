package config

import (
	"net/netip"
	"time"
)

// Config is the whole desired state, checked and with every default filled in. It is never changed after it was made.
type Config struct {
	// Version of this format; 1 is the only one.
	Version int
	// Listen holds the addresses of the data listeners, host:port.
	Listen         []string
	TLS            TLS // of all of them
	Limits         Limits
	Shutdown       Shutdown
	TrustedProxies []netip.Prefix
	AllowEndpoints []EndpointRule // see [Config.EndpointPolicy]
	Log            Log
	Tracing        *Tracing // nil = off
	Feedback       Feedback
	Journal        *Journal // nil = off
	Admin          Admin
	Consul         *Consul // nil = the file alone says everything
	// StateDir is absolute, or relative to the working directory; a relative path in the file starts at the file's folder.
	StateDir string
	Pools    map[string]*Pool
	Routes   map[string]*Route
	where    map[string]Position // path such as "pools.a.balance" -> place in the source
	folder   string              // where relative paths start
}

// Limits bound what clients may take.
type Limits struct {
	MaxConnections      int
	MaxConnectionsPerIP int // 0 = no limit
	MaxHeader           int // bytes
	MaxHeaderCount      int
	MaxBody             int64 // bytes
	MaxRoutingBody      int   // bytes
	ReadHeaderTimeout   time.Duration
	IdleTimeout         time.Duration
	MaxInFlight         int // exchanges running at once; 0 = no limit
}

// Shutdown is what SIGTERM allows running exchanges.
type Shutdown struct {
	Delay time.Duration
	Drain time.Duration
}

// Log configures the log of changes, and that of requests.
type Log struct {
	Level  string // debug | info | warn | error
	Format string // text | json
	Access Access
}

// Access configures the log of requests.
type Access struct {
	Sample  float64 // 0..1, of what is no error; errors are always logged
	File    string  // absolute, or relative to the working directory; "" = standard error, or nowhere if Sample is 0 too
	MaxSize int64   // bytes above which the file is rotated; 0 = never
	Keep    int     // rotated files
}

// Tracing is where spans are sent.
type Tracing struct {
	Endpoint string  // http://host:port/path of the OTLP/HTTP receiver of traces
	Sample   float64 // 0..1
}

// Feedback says how what users did with answers is joined to versions.
type Feedback struct {
	KeyFile      string   // of the keys that sign receipts: absolute, or relative to the working directory; "" = a random key of the process
	Keys         []string // in KeyFile, the one that signs first; nil = it was not read, as by [Parse]
	Window       time.Duration
	Remember     int // exchanges
	MaxPerSecond int // requests with feedback on the data listeners
}

// Admin is the listener people see and steer through.
type Admin struct {
	Listen       string
	TLS          TLS
	AllowedHosts []string
	TokenFile    string
}

// Consul is where desired state and endpoints come from besides the file.
type Consul struct {
	Address   string        // http://host:port or https://host:port of the agent
	CAFile    string        // of the authorities by which an https:// agent is believed; "" = the system's
	TokenFile string        // of the ACL token: absolute, or relative to the working directory; "" = no token
	Prefix    string        // of the keys, without a slash at its end
	Register  *Registration // nil = the proxy is not registered
}

// Registration is the service that the proxy itself is, to others that ask Consul.
type Registration struct {
	Name string
	Tags []string
}

// Catalogue says which instances of a service in Consul's catalogue are a pool's endpoints.
type Catalogue struct {
	Service     string
	Tags        []string // an instance has all of them
	PassingOnly bool     // instances with a failing check are left out
	Datacenter  string   // "" = the agent's
	Near        string   // node that the nearest instances are listed first for; "" = in no order
}

// Pool is one deployed version of a model.
type Pool struct {
	Name string
	// Endpoints are those in force: what the file says, or, once Answered, the members that the catalogue has.
	Endpoints []Endpoint
	Answered  bool       // Consul's catalogue has, which [WithMembers] says
	Fallback  []Endpoint // what the file says, once Answered
	Consul    *Catalogue // nil = Endpoints are all there are

	Source // of the whole pool

	Balance        string
	ConnectTimeout time.Duration
	MaxConnections int
	MaxInFlight    int // per endpoint; 0 = no limit
	Queue          Queue
	HealthCheck    *HealthCheck // nil = no probes
	Breaker        Breaker
	PanicThreshold float64 // 0..1: at or below this share of fit endpoints all are used
	Host           string
	OnClientGone   string // cancel | drain
	SlowStart      time.Duration
	TLS            PoolTLS
}

// Endpoint is one model server.
type Endpoint struct {
	URL    string  // http://host:port or https://host:port, nothing behind it
	Weight float64 // leastWeight..mostWeight
	// Drained keeps new requests from it; no file says so, but [Drain] does.
	Drained bool `json:",omitempty"`
	// Foreign says that somebody else than the file names it, so that allow_endpoints counts wherever it is connected to.
	Foreign bool `json:",omitempty"`
}

// Queue is where requests wait when every endpoint of a pool is full.
type Queue struct {
	Size    int // 0 = nobody waits
	Timeout time.Duration
}

// HealthCheck is how the endpoints of a pool are probed.
type HealthCheck struct {
	Path        string // may have a query
	Method      string // GET | HEAD | OPTIONS | POST | PUT
	Interval    time.Duration
	Timeout     time.Duration // shorter than Interval
	Rise        int           // probes in a row that must succeed before an endpoint is fit again
	Fall        int           // probes in a row that must fail before it is unfit
	Status      []int         // what a sound endpoint answers
	Body        string        // sent with POST and PUT
	ContentType string        // of Body
	// Expect maps dotted paths into the JSON answer, such as "outputs.0.data.0", to what stands there: a text without its
	// quotes, a number, true or false.
	Expect map[string]string
}

// Breaker says when an endpoint's answers make it unfit, and when it is tried again.
type Breaker struct {
	ConsecutiveFailures int     // failures in a row that open it; 0 = they do not
	FailureRatio        float64 // 0..1: share of failures that opens it; 0 = it does not
	MinRequests         int     // before FailureRatio counts
	Window              time.Duration
	OpenFor             time.Duration
	HalfOpenRequests    int   // trials after OpenFor
	FailureStatus       []int // answers that count as failures
	ProbeFirst          bool  // a request of mlproxy's own comes before a trial
}

// Route is what a client asks for and how its traffic is treated.
type Route struct {
	Name            string
	Match           Match
	Protocol        string // what the model servers speak; none = bodies are not looked into
	Extract         Extract
	Inspect         Inspect
	Split           Weights    // nil when BlueGreen is set
	BlueGreen       *BlueGreen // nil when Split is set
	Sticky          []KeySource
	ForceHeader     string     // lower case; "" = nobody may force a pool
	APIKeys         *APIKeys   // nil = everybody may use the route
	RateLimit       *RateLimit // nil = as often as they like
	Shadow          map[string]*Shadow
	Timeout         time.Duration
	BodyIdleTimeout time.Duration
	MaxDuration     time.Duration
	Retry           Retry
	Failover        []string // pools tried in this order when the chosen one has no fit endpoint
	Feedback        bool     // what users did with answers is counted
	// Source is the layer that had the last word on the split or the active pool.
	Source
	ShadowFrom Source // the same of Shadow
	Base       Source // of the whole route beneath the layers
}

// Extract says what the monitors find where in the bodies, beyond what the protocol says.
type Extract struct {
	Request  ExtractRequest
	Response ExtractResponse
}

// ExtractRequest is what is found in requests. Paths lead to the members of a JSON document; "" = there is none.
type ExtractRequest struct {
	Rows     string // path
	Text     string // path
	Image    string // path
	Features []string
	Missing  []string // as they are written in the documents; "" stands for null
}

// ExtractResponse is what is found in answers.
type ExtractResponse struct {
	Prediction    string   // path
	Confidence    string   // path
	Probabilities string   // path
	MissingWhen   []string // conditions
	Error         string   // path
	RequestID     string   // path
	Model         string   // path
	Version       string   // path
	Output        string
	Scores        string // softmax | sigmoid | ""
}

// Inspect says what the monitors of inputs and outputs read.
type Inspect struct {
	Sample  float64 // 0..1: share of the exchanges
	MaxBody int64   // bytes of either body
}

// APIKeys says which clients may use a route.
type APIKeys struct {
	File   string // absolute, or relative to the working directory
	Header string // lower case
	// Keys are those in File, by name; nil = it was not read, as by [Parse].
	Keys map[string]Key
}

// Key is one client's API key, which may change hands from one to another.
type Key struct {
	SHA256 []string // lower-case hexadecimal
	Routes []string // that it is good for; empty = all that use its file
}

// RateLimit says how often clients may use a route.
type RateLimit struct {
	RequestsPerSecond float64 // leastRate..mostRate
	Burst             int
	By                string // key | client_ip | route
}

// Weights maps pool names to non-negative weights; a share is weight / sum.
type Weights map[string]float64

// Match says which requests a route is for; all that is set must hold.
type Match struct {
	Path    string            // ends in "/": prefix; else exact; "" = any
	Hosts   []string          // lower case, without port; a leading "*." stands for any one or more labels
	Methods []string          // empty = any
	Headers map[string]string // lower-case name -> exact value; "*" = present
	Model   string            // value of the JSON body's "model"
}

// BlueGreen is two pools of which exactly one is active.
type BlueGreen struct {
	Blue, Green string
	Active      string // blue | green
	// Force has a switch to Active made at once, even if its pool could not serve. It is the word of who set Active in the file or
	// in a key of Consul; an operator at this proxy leaves it as it is.
	Force bool `json:",omitempty"`
}

// ActivePool is the name of the pool that serves.
func (b *BlueGreen) ActivePool() string {
	if b.Active == "green" {
		return b.Green
	}
	return b.Blue
}

// KeySource is one place a sticky key may come from.
type KeySource struct {
	Kind string // header | cookie | json | client_ip
	Name string // lower case for headers; empty for client_ip
}

// Shadow is how one pool gets copies of a route's requests.
type Shadow struct {
	Sample             float64 // 0..1
	Timeout            time.Duration
	MaxInFlight        int
	MaxBody            int64 // bytes of one copy
	MaxBytes           int64 // bytes of all copies held at once
	ForwardCredentials bool
	Compare            Compare
	NoiseProbe         float64 // 0..1, of the copies
}

// Compare is how a shadow's answers are compared with the live ones.
type Compare struct {
	Mode              string  // exact | json | argmax | top_k | text
	Tolerance         float64 // absolute
	RelativeTolerance float64 // of the larger of two numbers
	Ignore, Unordered []string
	K                 int
	Keep              int    // disagreements, the worst
	Bodies            string // excerpt | hash
}

// Retry says when a request may be sent to a second endpoint.
type Retry struct {
	Attempts     int      // extra tries: 0..2
	On           []string // connect | stale | reset | timeout | 502 | 503 | 504
	Budget       float64  // 0..1: retries may be at most this share of the requests
	MinPerSecond float64  // retries a second that are allowed whatever the budget says
	Methods      []string // methods that may be sent again once bytes were written
}
