package admin

import (
	"net/http"
	"time"

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
	window, err := windowOf(r, time.Hour, time.Minute, 24*time.Hour)
	if err != nil {
		return err
	}
	route, err := s.routeOf(r)
	if err != nil {
		return err
	}
	if !route.Feedback {
		return &Problem{
			Status: http.StatusConflict, Reason: "no_feedback",
			Detail: "the route " + route.Name + " takes no feedback; set feedback: true in the config",
		}
	}
	return reply(w, s.Loop.Status().Revision, Feedback{route.Name, window.String(), s.Registry.Feedback(route.Name, window, time.Now())})
}
