package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/monitor"
)

// Summary is the answer of GET /api/v1/routes/{route}/summary.
type Summary struct {
	Route  string `json:"route"`
	Window string `json:"window"`
	// Sample is the share of the route's exchanges that are inspected, 0 to 1.
	Sample   float64            `json:"sample"`
	Versions []*monitor.Summary `json:"versions"`
}

// summary answers with what a route's models were asked and said.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, []string{"window"}); err != nil {
		return err
	}
	window, err := windowOf(r, 5*time.Minute, 10*time.Second, monitor.Kept)
	if err != nil {
		return err
	}
	route, err := s.routeOf(r)
	if err != nil {
		return err
	}
	if route.Protocol == "none" || route.Inspect.Sample == 0 {
		return &Problem{
			Status: http.StatusConflict, Reason: "not_inspected",
			Detail: "the bodies of the route " + route.Name + " are not looked into; set its protocol in the config",
		}
	}
	versions, err := s.Registry.Summaries(route.Name, window, time.Now())
	if err != nil {
		return err
	}
	return reply(w, s.Loop.Status().Revision, Summary{route.Name, window.String(), route.Inspect.Sample, versions})
}

// routeOf is the config of the route that the path names.
func (s *Server) routeOf(r *http.Request) (*config.Route, error) {
	name := r.PathValue("route")
	if route := s.Loop.Config().Routes[name]; route != nil {
		return route, nil
	}
	return nil, fmt.Errorf("%w %q; GET /api/v1/routes lists them", control.ErrUnknownRoute, name)
}

// windowOf is how far back to look.
func windowOf(r *http.Request, usual, least, most time.Duration) (time.Duration, error) {
	v := r.URL.Query().Get("window")
	if v == "" {
		return usual, nil
	}
	window, err := time.ParseDuration(v)
	if err != nil || window < least || window > most {
		return 0, badRequest("window=%s; how far back to look, %s to %s", v, short(least), short(most))
	}
	return window, nil
}

// short is a duration of one unit as one writes it.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// Summary asks what a route's models were asked and said within a window before now.
func (c *Client) Summary(ctx context.Context, route string, window time.Duration) (*Summary, error) {
	s := new(Summary)
	path := "/api/v1/routes/" + url.PathEscape(route) + "/summary?window=" + window.String()
	return s, c.ask(ctx, http.MethodGet, path, "", nil, s)
}
