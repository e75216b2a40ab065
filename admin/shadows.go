package admin

import (
	"fmt"
	"net/http"
	"slices"

	"mlproxy/control"
	"mlproxy/router"
	"mlproxy/shadow"
)

// Shadows is the answer of GET and DELETE /api/v1/routes/{route}/shadow: what comparing found, by name of the shadow's pool.
type Shadows struct {
	Route   string           `json:"route"`
	Shadows []*shadow.Report `json:"shadows"`
}

// shadowsOf are the shadows of the route that a request names.
func (s *Server) shadowsOf(r *http.Request) (name string, of []*router.Shadow, err error) {
	if err := options(r, nil); err != nil {
		return "", nil, err
	}
	name = r.PathValue("route")
	routes := s.Table().Routes()
	if i := slices.IndexFunc(routes, func(route *router.Route) bool { return route.Name == name }); i >= 0 {
		return name, routes[i].Shadows, nil
	}
	return "", nil, fmt.Errorf("%w %q; GET /api/v1/routes lists what there is", control.ErrUnknownRoute, name)
}

// shadows answers with what comparing found.
func (s *Server) shadows(w http.ResponseWriter, r *http.Request) error {
	name, all, err := s.shadowsOf(r)
	if err != nil {
		return err
	}
	found := Shadows{Route: name, Shadows: []*shadow.Report{}}
	for _, one := range all {
		found.Shadows = append(found.Shadows, shadow.ReportOf(one))
	}
	return reply(w, s.Loop.Status().Revision, found)
}

// forgetShadows has the comparing begin anew.
func (s *Server) forgetShadows(w http.ResponseWriter, r *http.Request) error {
	name, all, err := s.shadowsOf(r)
	if err != nil {
		return err
	}
	c, err := change(r, nil)
	if err != nil {
		return err
	}
	for _, one := range all {
		shadow.Reset(one)
	}
	s.Log.Info("comparisons of shadows begin anew", "route", name, "author", c.Author, "reason", c.Reason, "revision", s.Loop.Status().Number, "audit", true)
	return s.shadows(w, r)
}

// summaries is what comparing found, by route and pool, in short.
func (s *Server) summaries() map[string]map[string]shadow.Summary {
	all := map[string]map[string]shadow.Summary{}
	for _, r := range s.Table().Routes() {
		for _, one := range r.Shadows {
			if all[r.Name] == nil {
				all[r.Name] = map[string]shadow.Summary{}
			}
			all[r.Name][one.Pool.Name] = shadow.ReportOf(one).Summary()
		}
	}
	return all
}

func (s *Server) status() (control.Revision, any) {
	now := Status{Version: s.Version, Listen: s.Listen, Status: *s.Loop.Status(), Compared: s.summaries()}
	return now.Revision, now
}
