package admin

import (
	"fmt"
	"net/http"
	"time"

	"mlproxy/control"
	"mlproxy/monitor"
)

// Feedback is the answer of GET /api/v1/routes/{route}/feedback.
type Feedback struct {
	Route    string                    `json:"route"`
	Window   string                    `json:"window"`
	Versions []monitor.VersionFeedback `json:"versions"`
}

// TakenFeedback is the answer of POST /api/v1/feedback: what became of the entries, and what is wrong with the first that are not of the
// right form.
type TakenFeedback struct {
	monitor.FeedbackTally
	Faults []string `json:"faults,omitempty"`
}

// takeFeedback joins what the body says to the versions it speaks of.
func (s *Server) takeFeedback(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, nil); err != nil {
		return err
	}
	src, err := readBody(r, "feedback")
	if err != nil {
		return err
	}
	list, invalid, faults, err := monitor.ReadFeedback(src)
	joiner := s.Registry.Joiner()
	if err != nil {
		joiner.Lost(monitor.FromAdmin, monitor.FeedbackInvalid, 1)
		return badRequest("%v", err)
	}
	joiner.Lost(monitor.FromAdmin, monitor.FeedbackInvalid, invalid)
	if len(list) == 0 && invalid > 0 {
		p := badRequest("nothing of the feedback is of the right form")
		p.Faults = faults
		return p
	}
	taken := TakenFeedback{joiner.Take(monitor.FromAdmin, list, time.Now()), faults}
	taken.Invalid = invalid
	return reply(w, s.Loop.Status().Revision, taken)
}

// feedback answers with what users did with the answers of a route's versions.
func (s *Server) feedback(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, []string{"window"}); err != nil {
		return err
	}
	const longest = 24 * time.Hour
	window := time.Hour
	if v := r.URL.Query().Get("window"); v != "" {
		var err error
		if window, err = time.ParseDuration(v); err != nil || window < time.Minute || window > longest {
			return badRequest("window=%s; how far back to look, 1m to 24h", v)
		}
	}
	name := r.PathValue("route")
	route := s.Loop.Config().Routes[name]
	if route == nil {
		return fmt.Errorf("%w %q; GET /api/v1/routes lists them", control.ErrUnknownRoute, name)
	}
	if !route.Feedback {
		return &Problem{
			Status: http.StatusConflict, Reason: "no_feedback",
			Detail: "the route " + name + " takes no feedback; set feedback: true in the config",
		}
	}
	return reply(w, s.Loop.Status().Revision, Feedback{name, window.String(), s.Registry.Feedback(name, window, time.Now())})
}
