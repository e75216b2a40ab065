package admin

import "net/http"

// audit logs a change, or a look at what is guarded, that was refused; those that were made are logged by the loop. Both say audit=true.
func (s *Server) audit(what string, r *http.Request, p *Problem) {
	s.Log.Warn(what, "method", r.Method, "path", r.URL.Path, "author", author(r), "reason", reasonOf(r),
		"revision", s.Loop.Status().Number, "status", p.Status, "error", p, "audit", true)
}
