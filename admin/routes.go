package admin

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// action answers one method of one place. What it returns is written as a problem.
type action func(http.ResponseWriter, *http.Request) error

// methods are what a place understands.
type methods map[string]action

// index is what / says.
const index = `mlproxy, the traffic router for model servers.

GET    /api/v1/status                     what is in force: routes, splits, pools, revision
GET    /api/v1/routes                     the routes of it
GET    /api/v1/config                     the config in force, overrides included, as YAML without secrets
GET    /api/v1/revisions                  the last 50, and what each changed
POST   /api/v1/revisions/{n}/restore      every route's split or active pool as it was   ?force=true
GET    /api/v1/history                    what operators changed in the fleet
GET    /api/v1/fleet                      which proxies act by the same config   ?wait=10s
POST   /api/v1/plan                       what a config file, in the body, would change
GET    /api/v1/overrides                  what operators have set and drained
GET    /api/v1/routes/{route}/summary     what its models were asked and said   ?window=5m
PUT    /api/v1/routes/{route}/split       {"iris-stable": 90, "iris-canary": 10}
PUT    /api/v1/routes/{route}/active      {"active": "green"}   ?force=true
POST   /api/v1/routes/{route}/rollback    to the previous split or active pool   ?force=true
GET    /api/v1/routes/{route}/feedback    what users did with each version's answers   ?window=1h
POST   /api/v1/feedback                   {"request_id": "...", "event": "click"}, an array of such, or one a line
DELETE /api/v1/routes/{route}/override    the config file decides again   ?force=true
GET    /api/v1/routes/{route}/shadow      how the answers of its shadows compare with the live ones
DELETE /api/v1/routes/{route}/shadow      compare anew
PUT    /api/v1/pools/{pool}/drain         no new requests from any split
DELETE /api/v1/pools/{pool}/drain         as before
PUT    /api/v1/endpoints/{address}/drain  no new requests in any pool   ?force=true
DELETE /api/v1/endpoints/{address}/drain  as before
       changes take ?ttl=15m, X-Reason and If-Match; those of routes go to the fleet, if there is one, unless ?local=true

POST   /-/reload                          read the config file now, and hear what became of it
GET    /-/healthy                         the process lives
GET    /-/ready                           traffic may be sent here
GET    /metrics                           for Prometheus
GET    /debug/pprof/                      profiles
`

// routes is everything the listener answers.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for path, place := range map[string]methods{
		"/{$}":                              {"GET": plain(index)},
		"/-/healthy":                        {"GET": plain("healthy\n")},
		"/-/ready":                          {"GET": s.ready},
		"/-/reload":                         {"POST": changing(s.reload)},
		"/metrics":                          {"GET": s.metrics()},
		"/api/v1/status":                    {"GET": s.shown(s.status)},
		"/api/v1/routes":                    {"GET": s.shown(s.allRoutes)},
		"/api/v1/config":                    {"GET": s.config},
		"/api/v1/revisions":                 {"GET": s.shown(s.revisions)},
		"/api/v1/revisions/{n}/restore":     {"POST": changing(s.restore, "force", "ttl", "local")},
		"/api/v1/history":                   {"GET": s.history},
		"/api/v1/fleet":                     {"GET": s.fleet},
		"/api/v1/plan":                      {"POST": s.plan},
		"/api/v1/overrides":                 {"GET": s.shown(s.overrides)},
		"/api/v1/routes/{route}/summary":    {"GET": s.summary},
		"/api/v1/routes/{route}/split":      {"PUT": changing(s.setSplit, "ttl", "local")},
		"/api/v1/routes/{route}/active":     {"PUT": changing(s.setActive, "force", "ttl", "local")},
		"/api/v1/routes/{route}/rollback":   {"POST": changing(s.rollback, "force", "ttl", "local")},
		"/api/v1/routes/{route}/override":   {"DELETE": changing(s.removeOverride, "force", "local")},
		"/api/v1/routes/{route}/feedback":   {"GET": s.feedback},
		"/api/v1/feedback":                  {"POST": s.takeFeedback},
		"/api/v1/routes/{route}/shadow":     {"GET": s.shadows, "DELETE": s.forgetShadows},
		"/api/v1/pools/{pool}/drain":        {"PUT": changing(s.drain, "ttl"), "DELETE": changing(s.undrain)},
		"/api/v1/endpoints/{address}/drain": {"PUT": changing(s.drainEndpoint, "force", "ttl"), "DELETE": changing(s.undrainEndpoint)},
		"/debug/pprof/":                     {"GET": plugged(pprof.Index)},
		"/debug/pprof/cmdline":              {"GET": plugged(pprof.Cmdline)},
		"/debug/pprof/profile":              {"GET": plugged(pprof.Profile)},
		"/debug/pprof/symbol":               {"GET": plugged(pprof.Symbol)},
		"/debug/pprof/trace":                {"GET": plugged(pprof.Trace)},
		"/":                                 nil,
	} {
		mux.HandleFunc(path, s.answer(place))
	}
	return mux
}

// answer finds the method's action and writes what it returns as a problem. Refused changes are logged; made ones are by
// the loop.
func (s *Server) answer(place methods) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := place.act(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if changes(r) {
			s.audit("change refused", r, p)
		}
		p.write(w)
	}
}

func (m methods) act(w http.ResponseWriter, r *http.Request) error {
	if m == nil {
		return &Problem{
			Status: http.StatusNotFound, Reason: "not_found",
			Detail: fmt.Sprintf("there is nothing at %s; GET / lists what there is", r.URL.Path),
		}
	}
	do := m[r.Method]
	if do == nil && r.Method == http.MethodHead {
		do = m[http.MethodGet]
	}
	if do == nil {
		allow := strings.Join(m.names(), ", ")
		w.Header().Set("Allow", allow)
		return &Problem{
			Status: http.StatusMethodNotAllowed, Reason: "method_not_allowed",
			Detail: fmt.Sprintf("%s does not take %s; use %s", r.URL.Path, r.Method, allow),
		}
	}
	return do(w, r)
}

func (m methods) names() []string {
	names := slices.Collect(maps.Keys(m))
	if m[http.MethodGet] != nil {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return names
}

// plain answers with a fixed text.
func plain(text string) action {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text))
		return nil
	}
}

// plugged is another package's handler as an action.
func plugged(h http.HandlerFunc) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

func (s *Server) metrics() action {
	return plugged(promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError,
		EnableOpenMetrics: true, // native histograms need no option: scrapers ask for them by protobuf
		Timeout:           20 * time.Second,
	}).ServeHTTP)
}
