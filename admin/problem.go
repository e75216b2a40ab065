package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/control"
)

// Problem is an error as the API answers it: application/problem+json of RFC 9457. The client returns it as its error.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Reason is one word for programs: unknown_route, unfit, stale, ...
	Reason string `json:"reason"`
	// Detail says what was wrong, then what would be right.
	Detail string `json:"detail"`
	// Faults is everything that is wrong with a value or a config file, one line each.
	Faults []string `json:"faults,omitempty"`

	after time.Duration // for Retry-After; 0 = it is not said
}

// Error is the detail, followed by the faults.
func (p *Problem) Error() string {
	return strings.Join(append([]string{p.Detail}, p.Faults...), "\n  ")
}

func (p *Problem) write(w http.ResponseWriter) {
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if p.after > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((p.after+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(p.Status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(p)
}

func badRequest(format string, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Reason: "bad_request", Detail: fmt.Sprintf(format, args...)}
}

// meanings are the statuses of control's errors.
var meanings = []struct {
	err    error
	status int
	reason string
}{
	{control.ErrUnknownRoute, http.StatusNotFound, "unknown_route"},
	{control.ErrUnknownPool, http.StatusNotFound, "unknown_pool"},
	{control.ErrUnknownEndpoint, http.StatusNotFound, "unknown_endpoint"},
	{control.ErrUnknownRevision, http.StatusNotFound, "unknown_revision"},
	{control.ErrNoOverride, http.StatusNotFound, "no_override"},
	{control.ErrUnfit, http.StatusConflict, "unfit"},
	{control.ErrLastFit, http.StatusConflict, "last_fit"},
	{control.ErrMasked, http.StatusConflict, "masked"},
	{control.ErrFleet, http.StatusServiceUnavailable, "fleet"},
	{control.ErrNoPrevious, http.StatusConflict, "no_previous"},
	{control.ErrStale, http.StatusPreconditionFailed, "stale"},
	{control.ErrNotStored, http.StatusInsufficientStorage, "not_stored"},
	{control.ErrHandover, http.StatusServiceUnavailable, "draining"},
	{control.ErrStopped, http.StatusServiceUnavailable, "stopping"},
}

// problemOf says how an error is answered.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return &Problem{Status: m.status, Reason: m.reason, Detail: err.Error()}
		}
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return faulty(faults)
	}
	return &Problem{Status: http.StatusInternalServerError, Reason: "failed", Detail: err.Error()}
}

// faulty is a value or file with everything that is wrong with it.
func faulty(faults config.Faults) *Problem {
	p := &Problem{Status: http.StatusUnprocessableEntity, Reason: "invalid", Detail: "nothing was changed; mend what is listed, then try again"}
	for _, f := range faults {
		p.Faults = append(p.Faults, f.Error())
	}
	return p
}
