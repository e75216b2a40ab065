package config

import (
	"net/netip"
	"time"
)

// This file is the description of config.yaml: every key, its default and what it means. The reader, the JSON Schema and
// the reference page docs/config.md all come from it.

const (
	gib      = 1 << 30
	mostInts = 1_000_000_000
)

var notNegative, positive, formatVersion = duration(0), duration(1), whole(1, 1)

var document = section("config", nil,
	required(key("version", formatVersion, func(c *Config) *int { return &c.Version }, "",
		"Version of this format; 1 is the only one.")),
	key("listen", oneOrMore(listenAddress), func(c *Config) *[]string { return &c.Listen }, "127.0.0.1:8080",
		"Where clients connect, host:port; an empty host is every address of the machine, port 0 any free port. Change needs a restart."),
	key("tls", tlsSection, func(c *Config) *TLS { return &c.TLS }, "{}",
		"TLS on all data listeners; without it they speak clear text."),
	key("limits", limits, func(c *Config) *Limits { return &c.Limits }, "{}",
		"What clients may take."),
	key("shutdown", shutdown, func(c *Config) *Shutdown { return &c.Shutdown }, "{}",
		"What SIGTERM allows running exchanges."),
	key("trusted_proxies", listOf(network, 0), func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, "[]",
		"Addresses and CIDRs of clients whose X-Forwarded-*, X-Request-ID and X-MLProxy-* are believed."),
	key("allow_endpoints", listOf(allowedEndpoint, 0), func(c *Config) *[]EndpointRule { return &c.AllowEndpoints }, "[]",
		"Addresses, CIDRs and host patterns (`*.example.org`) of the endpoints that Consul may name; those in this file need none. "+
			"Empty: all but link-local, metadata, multicast and unspecified addresses, which only a network inside of theirs allows. Never those at which "+
			"mlproxy itself listens: docs/security.md."),
	key("log", logging, func(c *Config) *Log { return &c.Log }, "{}",
		"The log of changes and faults, on standard error."),
	key("tracing", pointer(tracing), func(c *Config) **Tracing { return &c.Tracing }, "",
		"Where spans of exchanges are sent; absent: nowhere."),
	key("feedback", feedbackShown, func(c *Config) *Feedback { return &c.Feedback }, "{}",
		"How what users do with answers is joined to the versions that gave them, for routes with `feedback: true`."),
	key("journal", orOff(pointer(journal)), func(c *Config) **Journal { return &c.Journal }, "",
		"The log of predictions: what models were asked and said, one JSON object a line; absent or `false`: there is none."),
	key("admin", admin, func(c *Config) *Admin { return &c.Admin }, "{}",
		"The listener people see and steer through."),
	key("consul", orOff(pointer(consul)), func(c *Config) **Consul { return &c.Consul }, "",
		"Where desired state and endpoints come from besides this file; absent or `false`: from nowhere. Change needs a restart."),
	key("state_dir", folder, func(c *Config) *string { return &c.StateDir }, "./state",
		"Folder for what operators change at run time; a relative path starts at the folder of this file. Change needs a restart."),
	key("pools", pools, func(c *Config) *map[string]*Pool { return &c.Pools }, "{}",
		"The pools by name; each is one deployed version of a model."),
	key("routes", routes, func(c *Config) *map[string]*Route { return &c.Routes }, "{}",
		"The routes by name; each says which requests it takes and how they are treated."),
)

var limits = section("limits", nil,
	key("max_connections", whole(1, mostInts), func(l *Limits) *int { return &l.MaxConnections }, "20000",
		"Client connections open at once. One more takes the place of one that only waits for a request; where none does it gets 503 and is closed."),
	key("max_connections_per_ip", whole(0, mostInts), func(l *Limits) *int { return &l.MaxConnectionsPerIP }, "0",
		"Client connections of one address, of IPv6 of one /64 network; further ones get 503. `trusted_proxies` may have more. 0 is no limit."),
	key("max_header", size(1, gib), func(l *Limits) *int { return &l.MaxHeader }, "16KiB",
		"Bytes of a request's head; above it 431, or 414 where its first line alone is longer."),
	key("max_header_count", whole(1, mostInts), func(l *Limits) *int { return &l.MaxHeaderCount }, "100",
		"Header fields of a request; above it 431."),
	key("max_body", size(1, int64(1024*gib)), func(l *Limits) *int64 { return &l.MaxBody }, "64MiB",
		"Bytes of a request's body; above it 413."),
	key("max_routing_body", size(1, gib), func(l *Limits) *int { return &l.MaxRoutingBody }, "1MiB",
		"Bytes of a body that are read to find a sticky key or the model; a key further in counts as absent."),
	key("read_header_timeout", positive, func(l *Limits) *time.Duration { return &l.ReadHeaderTimeout }, "5s",
		"Time for a request's head to arrive, from its first byte; above it 408."),
	key("idle_timeout", positive, func(l *Limits) *time.Duration { return &l.IdleTimeout }, "75s",
		"Time a client connection may stay open without a request."),
	key("max_in_flight", whole(0, mostInts), func(l *Limits) *int { return &l.MaxInFlight }, "0",
		"Exchanges running at once; above it 503. 0 is no limit."),
)

var shutdown = section("shutdown", nil,
	key("delay", notNegative, func(s *Shutdown) *time.Duration { return &s.Delay }, "0s",
		"Time between /-/ready turning 503 and the listeners closing, for load balancers to notice."),
	key("drain", notNegative, func(s *Shutdown) *time.Duration { return &s.Drain }, "30s",
		"Time running exchanges have to finish once the listeners are closed."),
)

var logging = section("log", nil,
	key("level", word([]string{"debug", "info", "warn", "error"}), func(l *Log) *string { return &l.Level }, "info",
		"The least important messages that are written."),
	key("format", word([]string{"text", "json"}), func(l *Log) *string { return &l.Format }, "text",
		"One line of key=value pairs, or one JSON object a line."),
	key("access", accessLog, func(l *Log) *Access { return &l.Access }, "{}",
		"The log of requests."),
)

var accessLog = section("access log", nil,
	key("sample", share, func(a *Access) *float64 { return &a.Sample }, "0%",
		"Share of the requests that are logged beside errors, which all are; with 0% and no `file` nothing is."),
	key("file", filePath, func(a *Access) *string { return &a.File }, `""`,
		"Where the access log is written; empty is standard error. A relative path starts at the folder of this file."),
	key("max_size", size(0, int64(1024*gib)), func(a *Access) *int64 { return &a.MaxSize }, "100MiB",
		"Bytes above which the file is renamed and a new one begun; 0B leaves that to others (SIGUSR1 reopens the file)."),
	key("keep", whole(0, 10_000), func(a *Access) *int { return &a.Keep }, "5",
		"Renamed files that are kept; older ones are removed."),
)

var tracing = section("tracing", nil,
	required(key("endpoint", collector, func(t *Tracing) *string { return &t.Endpoint }, "",
		"OTLP/HTTP receiver: http://host:port/path; without a path /v1/traces is meant.")),
	key("sample", share, func(t *Tracing) *float64 { return &t.Sample }, "1%",
		"Share of the exchanges that get spans."),
)

var admin = section("admin", nil,
	key("listen", listenAddress, func(a *Admin) *string { return &a.Listen }, "127.0.0.1:9090",
		"Address of the admin listener, host:port. Change needs a restart."),
	key("tls", tlsSection, func(a *Admin) *TLS { return &a.TLS }, "{}",
		"TLS on the admin listener."),
	key("allowed_hosts", listOf(hostName, 0), func(a *Admin) *[]string { return &a.AllowedHosts }, "[]",
		"Host names, without port, the admin listener answers to besides its address and localhost."),
	key("token_file", filePath, func(a *Admin) *string { return &a.TokenFile }, `""`,
		"File with the bearer token for everything that changes state; needed when `listen` is not on loopback. "+
			"A relative path starts at the folder of this file."),
)

var (
	pools  = mapOf(pointer(pool), namePattern, name)
	routes = mapOf(pointer(route), namePattern, name)

	shadows = mapOf(pointer(shadow), namePattern, name)
)

var consul = section("consul", nil,
	key("address", agent, func(c *Consul) *string { return &c.Address }, "http://127.0.0.1:8500",
		"The agent: http://host:port or https://host:port."),
	key("ca_file", orNothing(filePath), func(c *Consul) *string { return &c.CAFile }, "",
		"Authorities of an https:// agent's certificate, in PEM, read again for every connection; absent: the system's."),
	key("token_file", filePath, func(c *Consul) *string { return &c.TokenFile }, `""`,
		"File with the ACL token, read again when it changes; empty is no token. A relative path starts at the folder of this file."),
	key("prefix", keyPrefix, func(c *Consul) *string { return &c.Prefix }, "mlproxy",
		"What the names of the keys begin with."),
	key("register", orOff(pointer(registration)), func(c *Consul) **Registration { return &c.Register }, "",
		"The service as which the proxy itself is registered; absent or `false`: none."),
)

var registration = section("registration", nil,
	required(key("name", proxyName, func(r *Registration) *string { return &r.Name }, "",
		"Name of the service.")),
	key("tags", listOf(serviceTag, 0), func(r *Registration) *[]string { return &r.Tags }, "[]",
		"Tags of the service."),
)

var catalogue = section("catalogue", nil,
	required(key("service", serviceName, func(c *Catalogue) *string { return &c.Service }, "",
		"Name of the service whose instances are the endpoints.")),
	key("tags", listOf(serviceTag, 0), func(c *Catalogue) *[]string { return &c.Tags }, "[]",
		"Tags that an instance must all have."),
	key("passing_only", yesOrNo, func(c *Catalogue) *bool { return &c.PassingOnly }, "true",
		"Whether only instances count whose checks pass; else all that are registered."),
	key("datacenter", consulWord, func(c *Catalogue) *string { return &c.Datacenter }, `""`,
		"Datacenter that is asked; empty is the agent's own."),
	key("near", consulWord, func(c *Catalogue) *string { return &c.Near }, `""`,
		"Node to which the instances are sorted by distance, such as `_agent`; empty: they are not."),
)

var pool = needsOne(section("pool", someEndpoints,
	key("endpoints", listOf(endpoint, 1), (*Pool).written, "",
		"The model servers: http://host:port or https://host:port each. Beside `consul` they serve until the catalogue first answers, and may be left out."),
	key("consul", orOff(pointer(catalogue)), func(p *Pool) **Catalogue { return &p.Consul }, "",
		"Endpoints from Consul's catalogue; absent or `false`: only `endpoints`."),
	key("balance", balance, func(p *Pool) *string { return &p.Balance }, "least_request",
		"How an endpoint is picked: round_robin, least_request (the less busy of two), peak_ewma or hash."),
	key("connect_timeout", positive, func(p *Pool) *time.Duration { return &p.ConnectTimeout }, "500ms",
		"Time to open a connection to an endpoint."),
	key("max_connections", whole(1, mostInts), func(p *Pool) *int { return &p.MaxConnections }, "512",
		"Connections to one endpoint."),
	key("max_in_flight", whole(0, mostInts), func(p *Pool) *int { return &p.MaxInFlight }, "0",
		"Requests running on one endpoint; above it they queue, or get 503. 0 is no limit."),
	key("queue", queue, func(p *Pool) *Queue { return &p.Queue }, "{}",
		"Where requests wait when every endpoint is full."),
	key("health_check", orOff(pointer(healthCheck)), func(p *Pool) **HealthCheck { return &p.HealthCheck }, "",
		"Active probes of the endpoints; absent or `false`: none."),
	key("breaker", breaker, func(p *Pool) *Breaker { return &p.Breaker }, "{}",
		"Passive health: when an endpoint's own answers take it out, and for how long."),
	key("panic_threshold", share, func(p *Pool) *float64 { return &p.PanicThreshold }, "0%",
		"At or below this share of fit endpoints all are used; 0% is only when none is fit."),
	key("host", hostHeader, func(p *Pool) *string { return &p.Host }, `""`,
		"The Host header sent to the endpoints; empty keeps the client's."),
	key("on_client_gone", word([]string{"cancel", "drain"}), func(p *Pool) *string { return &p.OnClientGone }, "cancel",
		"When the client leaves early: `cancel` closes the connection to the endpoint, `drain` lets it finish so that the connection stays usable."),
	key("slow_start", notNegative, func(p *Pool) *time.Duration { return &p.SlowStart }, "0s",
		"Time over which an endpoint that became fit rises to its full share; 0s is at once."),
	key("tls", poolTLS, func(p *Pool) *PoolTLS { return &p.TLS }, "{}",
		"How https:// endpoints are verified, which they always are."),
), "endpoints", "consul")

var queue = section("queue", nil,
	key("size", whole(0, mostInts), func(q *Queue) *int { return &q.Size }, "0",
		"Requests waiting for an endpoint of the pool; above it 503. 0: nobody waits."),
	key("timeout", positive, func(q *Queue) *time.Duration { return &q.Timeout }, "100ms",
		"Time a request may wait; then 503. It leaves while its route's `timeout` and `max_duration` give it time for an answer, or with its client."),
)

var healthCheck = section("health_check", nil,
	required(key("path", probePath, func(h *HealthCheck) *string { return &h.Path }, "",
		"What is asked for, with its query if it has one.")),
	key("method", word([]string{"GET", "HEAD", "OPTIONS", "POST", "PUT"}), func(h *HealthCheck) *string { return &h.Method }, "GET",
		"With which method; POST is the default when there is a `body`."),
	key("interval", duration(shortestInterval), func(h *HealthCheck) *time.Duration { return &h.Interval }, "2s",
		"Time from probe to probe, with some jitter."),
	key("timeout", positive, func(h *HealthCheck) *time.Duration { return &h.Timeout }, "500ms",
		"Time for the whole answer; shorter than `interval`."),
	key("rise", whole(1, 1000), func(h *HealthCheck) *int { return &h.Rise }, "2",
		"Probes in a row that must succeed before an unfit endpoint is fit. Of a new endpoint one decides."),
	key("fall", whole(1, 1000), func(h *HealthCheck) *int { return &h.Fall }, "3",
		"Probes in a row that must fail before a fit endpoint is unfit."),
	key("status", listOf(status, 1), func(h *HealthCheck) *[]int { return &h.Status }, "[200]",
		"Statuses of a sound answer."),
	key("body", anything, func(h *HealthCheck) *string { return &h.Body }, `""`,
		"Body of the probe: a sample inference, so that the model itself is tried."),
	key("content_type", mediaType, func(h *HealthCheck) *string { return &h.ContentType }, "application/json",
		"Content-Type of `body`."),
	key("expect", mapOf(jsonValue, jsonPathPattern, jsonPath), func(h *HealthCheck) *map[string]string { return &h.Expect }, "{}",
		"What must stand in the JSON answer: dotted path (`outputs.0.data.0`; a dot in a name is `\\.`) to text, number, true or false."),
)

var breaker = section("breaker", nil,
	key("consecutive_failures", whole(0, mostInts), func(b *Breaker) *int { return &b.ConsecutiveFailures }, "5",
		"Failures in a row that take an endpoint out; 0: they do not."),
	key("failure_ratio", share, func(b *Breaker) *float64 { return &b.FailureRatio }, "50%",
		"Share of failures within `window` that takes it out; 0%: it does not."),
	key("min_requests", whole(1, mostInts), func(b *Breaker) *int { return &b.MinRequests }, "20",
		"Requests within `window` before `failure_ratio` counts."),
	key("window", positive, func(b *Breaker) *time.Duration { return &b.Window }, "10s",
		"Time over which requests are counted."),
	key("open_for", positive, func(b *Breaker) *time.Duration { return &b.OpenFor }, "5s",
		"Time the endpoint stays out before it is tried again."),
	key("half_open_requests", whole(1, mostInts), func(b *Breaker) *int { return &b.HalfOpenRequests }, "1",
		"Requests that try it; all must succeed."),
	key("probe_first", yesOrNo, func(b *Breaker) *bool { return &b.ProbeFirst }, "true",
		"Whether, before a request tries it, its path is asked for by a GET of mlproxy's own, "+
			"where another endpoint or a `failover` pool can serve meanwhile."),
	key("failure_status", listOf(status, 0), func(b *Breaker) *[]int { return &b.FailureStatus }, "[500, 502, 503, 504]",
		"Statuses that count as failures, beside connections that fail, break or time out."),
)

var endpointSection = section("endpoint", nil,
	required(key("url", endpointURL, func(e *Endpoint) *string { return &e.URL }, "",
		"http://host:port or https://host:port of the model server, nothing behind it.")),
	key("weight", endpointWeight, func(e *Endpoint) *float64 { return &e.Weight }, "1",
		"Its requests, compared to those of the pool's other endpoints: 2 gets twice as many as 1."),
)

var route = section("route", oneDivision,
	required(key("match", match, func(r *Route) *Match { return &r.Match }, "",
		"Which requests the route takes: all that is set must hold; the most specific route wins.")),
	key("protocol", word([]string{"none", "open_inference", "tf_serving", "mlflow", "torchserve", "openai", "json"}),
		func(r *Route) *string { return &r.Protocol }, "none",
		"What the model servers speak, so that the monitors can read bodies: docs/monitoring.md. `none`: bodies are not looked into."),
	key("extract", extraction, func(r *Route) *Extract { return &r.Extract }, "{}",
		"What `protocol` alone does not say of the bodies: where `json` has what, and what a missing value is. It changes nothing that passes."),
	key("split", weights, func(r *Route) *Weights { return &r.Split }, "",
		"Weights of the pools: any numbers of 0 or more, not all 0; a pool's share is its weight divided by their sum. Either this or `blue_green`."),
	key("blue_green", pointer(blueGreen), func(r *Route) **BlueGreen { return &r.BlueGreen }, "",
		"Two pools of which exactly one is active. Either this or `split`."),
	key("sticky", listOf(keySource, 0), func(r *Route) *[]KeySource { return &r.Sticky }, "[]",
		"Where the key that keeps a user on one pool comes from: header:NAME, cookie:NAME, json:PATH or client_ip; "+
			"the first that is present counts. Empty: each request is assigned anew."),
	key("force", force, func(r *Route) *string { return &r.ForceHeader }, "",
		"How trusted callers name the pool themselves."),
	key("api_keys", orOff(pointer(apiKeysShown)), func(r *Route) **APIKeys { return &r.APIKeys }, "",
		"Which clients may use the route; absent or `false`: all."),
	key("rate_limit", orOff(pointer(rateLimit)), func(r *Route) **RateLimit { return &r.RateLimit }, "",
		"How often; absent or `false`: as often as they like."),
	key("shadow", shadows, func(r *Route) *map[string]*Shadow { return &r.Shadow }, "{}",
		"Pools that get copies of the requests, by name; nobody waits for their answers."),
	key("timeout", positive, func(r *Route) *time.Duration { return &r.Timeout }, "30s",
		"Time from the last request byte sent to the head of the answer, retries and waits in a `queue` included; above it 504, or 503 in line."),
	key("body_idle_timeout", positive, func(r *Route) *time.Duration { return &r.BodyIdleTimeout }, "30s",
		"Time between two bytes of either body; 408 when the client is the slow one."),
	key("max_duration", notNegative, func(r *Route) *time.Duration { return &r.MaxDuration }, "0s",
		"Time of the whole exchange; 0s is no limit."),
	key("retry", retry, func(r *Route) *Retry { return &r.Retry }, "{}",
		"When a request may be sent to a second endpoint."),
	key("failover", listOf(poolName, 0), func(r *Route) *[]string { return &r.Failover }, "[]",
		"Pools tried, in this order, when the chosen one has no fit endpoint."),
	key("inspect", inspection, func(r *Route) *Inspect { return &r.Inspect }, "{}",
		"What the monitors of inputs and outputs read, where `protocol` says how."),
	key("feedback", yesOrNo, func(r *Route) *bool { return &r.Feedback }, "false",
		"Whether answers carry X-MLProxy-Receipt and what users did with them is counted per version. "+
			"`POST /_ml/feedback` is then served on the data listeners: docs/feedback.md."),
)

var match = section("match", oneCondition,
	key("path", urlPath, func(m *Match) *string { return &m.Path }, "",
		"Path of the URL: a prefix if it ends in /, else exact."),
	key("hosts", listOf(hostPattern, 0), func(m *Match) *[]string { return &m.Hosts }, "[]",
		"Host names without port, any of them; a leading `*.` stands for one or more labels."),
	key("methods", listOf(method, 0), func(m *Match) *[]string { return &m.Methods }, "[]",
		"Methods, any of them."),
	key("headers", headers, func(m *Match) *map[string]string { return &m.Headers }, "{}",
		"Header fields that must all be there with this value; `*` is any value."),
	key("model", anyText, func(m *Match) *string { return &m.Model }, `""`,
		"Value of \"model\" in the JSON body."),
)

var blueGreen = section("blue_green", nil,
	required(key("blue", poolName, func(b *BlueGreen) *string { return &b.Blue }, "",
		"The one pool.")),
	required(key("green", poolName, func(b *BlueGreen) *string { return &b.Green }, "",
		"The other pool.")),
	required(key("active", word([]string{"blue", "green"}), func(b *BlueGreen) *string { return &b.Active }, "",
		"Which of the two serves.")),
	key("force", yesOrNo, func(b *BlueGreen) *bool { return &b.Force }, "false",
		"Whether a switch to `active` is made at once, even if no endpoint of its pool is fit or can be reached; else it is pending until one is."),
)

var force = section("force", nil,
	required(key("header", headerField, func(s *string) *string { return s }, "",
		"Header field whose value is the name of a pool of this route.")),
)

var apiKeys = section("api_keys", nil,
	required(key("file", keysFile, func(k *APIKeys) *string { return &k.File }, "",
		"File with the names of clients and the SHA-256 of their keys: docs/security.md. It is read again when it changes. "+
			"A relative path starts at the folder of this file.")),
	key("header", keyHeader, func(k *APIKeys) *string { return &k.Header }, "authorization",
		"Header field that has the key: `Bearer KEY` in Authorization, KEY alone in any other. It ends here: neither model servers nor shadows get it."),
)

var apiKeysShown = kind[APIKeys]{apiKeys.shape, apiKeys.read, showAPIKeys}

var rateLimit = section("rate_limit", nil,
	required(key("requests_per_second", rate, func(l *RateLimit) *float64 { return &l.RequestsPerSecond }, "",
		"Requests that are taken on the average; above it 429.")),
	key("burst", whole(1, 1_000_000), func(l *RateLimit) *int { return &l.Burst }, "",
		"Requests that may come at once after a pause; absent: those of a second."),
	key("by", word([]string{"key", "client_ip", "route"}), func(l *RateLimit) *string { return &l.By }, "",
		"Who has a limit of their own: each API key, each client address (of IPv6 each /64 network), or only the route as a whole; "+
			"absent: `key` where the route has `api_keys`, else `client_ip`."),
)

var shadow = section("shadow", nil,
	key("sample", share, func(s *Shadow) *float64 { return &s.Sample }, "10%",
		"Share of the requests that are copied."),
	key("timeout", positive, func(s *Shadow) *time.Duration { return &s.Timeout }, "2s",
		"Time a copy has for its whole answer."),
	key("max_in_flight", whole(1, mostInts), func(s *Shadow) *int { return &s.MaxInFlight }, "64",
		"Copies running at once; further ones are dropped and counted."),
	key("max_body", size(1, int64(gib)), func(s *Shadow) *int64 { return &s.MaxBody }, "1MiB",
		"Bytes of a body that is copied; a request with more is dropped and counted."),
	key("max_bytes", size(1, int64(1024*gib)), func(s *Shadow) *int64 { return &s.MaxBytes }, "16MiB",
		"Bytes all copies may hold at once; further ones are dropped and counted."),
	key("forward_credentials", yesOrNo, func(s *Shadow) *bool { return &s.ForwardCredentials }, "false",
		"Whether copies carry the client's Authorization and Cookie."),
	key("compare", comparison, func(s *Shadow) *Compare { return &s.Compare }, "{}",
		"How a shadow's answer is compared to the live one: docs/shadow.md."),
	key("noise_probe", share, func(s *Shadow) *float64 { return &s.NoiseProbe }, "0%",
		"Share of the copies that the live pool is asked again, to learn how much it differs from itself; only GET, HEAD and POST."),
)

var comparison = section("comparison", nil,
	key("mode", word([]string{"exact", "json", "argmax", "top_k", "text"}), func(c *Compare) *string { return &c.Mode }, "exact",
		"`exact`: byte for byte. `json`: value by value. `argmax`: the class of each row. `top_k`: the best classes of each row. `text`: word by word."),
	key("tolerance", amount, func(c *Compare) *float64 { return &c.Tolerance }, "0",
		"How far two numbers may be apart; with `text`, the share of the words that may differ."),
	key("relative_tolerance", amount, func(c *Compare) *float64 { return &c.RelativeTolerance }, "0",
		"How far they may be apart, as a share of the larger of the two; either tolerance suffices."),
	key("ignore", listOf(answerPath, 0), func(c *Compare) *[]string { return &c.Ignore }, "[]",
		"Places that `json` does not look at: dotted paths such as `id` or `outputs.#.parameters`; `#` is any element, `*` anything."),
	key("unordered", listOf(answerPath, 0), func(c *Compare) *[]string { return &c.Unordered }, "[]",
		"Lists that `json` compares in whatever order their elements come."),
	key("k", whole(1, 1000), func(c *Compare) *int { return &c.K }, "5",
		"How many of the best classes `top_k` compares."),
	key("keep", whole(0, 100), func(c *Compare) *int { return &c.Keep }, "10",
		"How many of the worst disagreements are kept to be looked at."),
	key("bodies", word([]string{"excerpt", "hash"}), func(c *Compare) *string { return &c.Bodies }, "excerpt",
		"What is kept of their bodies: the first 2 KiB, without members whose names sound secret, or only SHA-256 and length."),
)

var extraction = section("extract", nil,
	key("request", extractedRequest, func(e *Extract) *ExtractRequest { return &e.Request }, "{}",
		"Of requests."),
	key("response", extractedResponse, func(e *Extract) *ExtractResponse { return &e.Response }, "{}",
		"Of answers."),
)

var extractedRequest = section("extract.request", nil,
	key("rows", documentPath, func(e *ExtractRequest) *string { return &e.Rows }, "",
		"Where the rows are, an array; of `json` only, as all paths: docs/protocols.md."),
	key("text", documentPath, func(e *ExtractRequest) *string { return &e.Text }, "",
		"Path of a text: its characters are the length, and it is what was asked."),
	key("image_b64", documentPath, func(e *ExtractRequest) *string { return &e.Image }, "",
		"Path of an image in base64, or in a `data:` URL."),
	key("features", listOf(anyText, 0), func(e *ExtractRequest) *[]string { return &e.Features }, "[]",
		"Features that every row should have; empty: those that most rows had."),
	key("missing", listOf(sentinel, 0), func(e *ExtractRequest) *[]string { return &e.Missing }, "[]",
		"Numbers and texts that stand for a missing value, such as -999 or NA, besides null, NaN and \"\"."),
)

var extractedResponse = section("extract.response", nil,
	key("prediction", documentPath, func(e *ExtractResponse) *string { return &e.Prediction }, "",
		"Path of the predictions, one a row."),
	key("confidence", documentPath, func(e *ExtractResponse) *string { return &e.Confidence }, "",
		"Path of the confidence, one a row."),
	key("probabilities", documentPath, func(e *ExtractResponse) *string { return &e.Probabilities }, "",
		"Path of the probabilities of all classes, a list a row."),
	key("missing_when", listOf(anyText, 0), func(e *ExtractResponse) *[]string { return &e.MissingWhen }, "[]",
		"Conditions that say that there is no prediction: a path, == or !=, and null, true, false, a number or 'a text'."),
	key("error", documentPath, func(e *ExtractResponse) *string { return &e.Error }, "",
		"Path of an error: where there is one, no row has a prediction."),
	key("request_id", documentPath, func(e *ExtractResponse) *string { return &e.RequestID }, "",
		"Path of the ID that the model server gave the request."),
	key("model", documentPath, func(e *ExtractResponse) *string { return &e.Model }, "",
		"Path of the name of the model that answered."),
	key("version", documentPath, func(e *ExtractResponse) *string { return &e.Version }, "",
		"Path of its version."),
	key("output", anyText, func(e *ExtractResponse) *string { return &e.Output }, `""`,
		"Which of several outputs is the prediction; empty: the one that looks like it."),
	key("scores", word([]string{"softmax", "sigmoid"}), func(e *ExtractResponse) *string { return &e.Scores }, "",
		"What turns numbers that are no probabilities into them; absent: nothing does."),
)

var inspection = section("inspection", nil,
	key("sample", share, func(i *Inspect) *float64 { return &i.Sample }, "100%",
		"Share of the exchanges whose bodies are looked into; 0%: none."),
	key("max_body", size(1, int64(gib)), func(i *Inspect) *int64 { return &i.MaxBody }, "1MiB",
		"Bytes of a body that are looked into; what is beyond is passed on unread."),
)

var retry = section("retry", nil,
	key("attempts", extraTries, func(r *Retry) *int { return &r.Attempts }, "1",
		"Extra tries, at most 2; 0 never retries."),
	key("on", listOf(word([]string{"connect", "stale", "reset", "timeout", "502", "503", "504"}), 0),
		func(r *Retry) *[]string { return &r.On }, "[connect, stale]",
		"`connect`: nothing was sent, any method. `stale`: a reused connection closed before a byte of answer, only `methods`. "+
			"`reset`: a connection broke before the answer's head. `timeout`: no head came in time. "+
			"`502`, `503`, `504`: the model server's own answer. These too only `methods`."),
	key("budget", share, func(r *Retry) *float64 { return &r.Budget }, "20%",
		"Retries may be at most this share of the requests."),
	key("min_per_second", amount, func(r *Retry) *float64 { return &r.MinPerSecond }, "3",
		"Retries a second that are allowed whatever the budget says."),
	key("methods", listOf(method, 0), func(r *Retry) *[]string { return &r.Methods }, "[GET, HEAD, OPTIONS, PUT, DELETE]",
		"Methods that may be sent again once bytes were written."),
)
