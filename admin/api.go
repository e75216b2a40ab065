package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/monitor"
	"mlproxy/router"
)

// longestReason bounds X-Reason, in bytes.
const longestReason = 500

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if err := s.Ready(); err != nil {
		return &Problem{Status: http.StatusServiceUnavailable, Reason: "not_ready", Detail: err.Error()}
	}
	return plain("ready\n")(w, r)
}

// changing is an action that changes what is in force, answered with the revision since then.
func changing(do func(*http.Request, control.Change) (control.Revision, error), parameters ...string) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := change(r, parameters)
		if err != nil {
			return err
		}
		revision, err := do(r, c)
		if err != nil {
			return err
		}
		return reply(w, revision, revision)
	}
}

func (s *Server) setSplit(r *http.Request, c control.Change) (control.Revision, error) {
	split, err := readSplit(r)
	if err != nil {
		return control.Revision{}, err
	}
	return s.Loop.SetSplit(r.Context(), c, split)
}

func (s *Server) setActive(r *http.Request, c control.Change) (control.Revision, error) {
	active, err := readActive(r)
	if err != nil {
		return control.Revision{}, err
	}
	return s.Loop.SetActive(r.Context(), c, active)
}

func (s *Server) rollback(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.Rollback(r.Context(), c)
}

func (s *Server) removeOverride(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.RemoveOverride(r.Context(), c)
}

func (s *Server) restore(r *http.Request, c control.Change) (control.Revision, error) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil {
		return control.Revision{}, badRequest("%q is no revision; a number that GET /api/v1/revisions lists", r.PathValue("n"))
	}
	return s.Loop.Restore(r.Context(), c, n)
}

func (s *Server) drain(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.Drain(r.Context(), c, r.PathValue("pool"))
}

func (s *Server) undrain(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.Undrain(r.Context(), c, r.PathValue("pool"))
}

func (s *Server) drainEndpoint(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.DrainEndpoint(r.Context(), c, r.PathValue("address"))
}

func (s *Server) undrainEndpoint(r *http.Request, c control.Change) (control.Revision, error) {
	return s.Loop.UndrainEndpoint(r.Context(), c, r.PathValue("address"))
}

// reload has the config file read now. A file that cannot be read at all is as invalid as one with faults.
func (s *Server) reload(r *http.Request, c control.Change) (control.Revision, error) {
	if now := s.Loop.Status().Number; c.If != 0 && c.If != now {
		return control.Revision{}, fmt.Errorf("%w: revision %d is in force, not %d; look at the status, then decide again", control.ErrStale, now, c.If)
	}
	err := s.Reload(r.Context(), c.Author, cmp.Or(c.Reason, "reload"))
	if err == nil {
		return s.Loop.Status().Revision, nil
	}
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		p.Status, p.Reason = http.StatusUnprocessableEntity, "invalid"
	}
	return control.Revision{}, p
}

// shown is an action that answers with what there is, and the revision it is of.
func (s *Server) shown(what func() (control.Revision, any)) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := options(r, nil); err != nil {
			return err
		}
		revision, body := what()
		return reply(w, revision, body)
	}
}

func (s *Server) allRoutes() (control.Revision, any) {
	now := s.Loop.Status()
	return now.Revision, map[string]any{"routes": now.Routes}
}

func (s *Server) revisions() (control.Revision, any) {
	all := s.Loop.Revisions()
	return all[0], Revisions{Revisions: all}
}

func (s *Server) overrides() (control.Revision, any) {
	return s.Loop.Status().Revision, s.Loop.Overrides()
}

// history answers with what operators changed in the fleet.
func (s *Server) history(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, nil); err != nil {
		return err
	}
	events, err := s.Loop.History(r.Context())
	if err != nil {
		return err
	}
	return reply(w, s.Loop.Status().Revision, History{events})
}

// longestWait bounds how long a request may wait for the fleet: below the listener's time to answer.
const longestWait = 25 * time.Second

// fleet answers with the proxies that act by the config in force, and those that do not, at once or when all do.
func (s *Server) fleet(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, []string{"wait"}); err != nil {
		return err
	}
	wait := time.Duration(0)
	if v := r.URL.Query().Get("wait"); v != "" {
		var err error
		if wait, err = time.ParseDuration(v); err != nil || wait < 0 {
			return badRequest("wait=%s; how long to wait for the fleet, such as 10s", v)
		}
	}
	a, err := s.Loop.Await(r.Context(), min(wait, longestWait))
	if err != nil {
		return err
	}
	return reply(w, s.Loop.Status().Revision, a)
}

// plan reads the body as if it stood in the config file. It changes nothing, but needs the token all the same: what a file
// takes from the environment shows in what it changes.
func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, nil); err != nil {
		return err
	}
	src, err := readBody(r, "a config file")
	if err != nil {
		return err
	}
	file, err := config.Parse(s.Loop.Config().At("").File, src, os.LookupEnv)
	if err != nil {
		return err
	}
	plan, err := s.Loop.Plan(file, router.NewEstate(monitor.New()))
	if err != nil {
		return err
	}
	return reply(w, s.Loop.Status().Revision, plan)
}

// config answers with all that is in force.
func (s *Server) config(w http.ResponseWriter, r *http.Request) error {
	if err := options(r, nil); err != nil {
		return err
	}
	now := s.Loop.Status() // first: a config newer than its ETag is found out, an older one would not be
	send(w, now.Revision, "application/yaml", config.Render(s.Loop.Config()))
	return nil
}

// reply writes a JSON answer that speaks of a revision.
func reply(w http.ResponseWriter, revision control.Revision, body any) error {
	text, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return err
	}
	send(w, revision, "application/json", append(text, '\n'))
	return nil
}

func send(w http.ResponseWriter, revision control.Revision, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", fmt.Sprintf("%q", strconv.FormatInt(revision.Number, 10)))
	_, _ = w.Write(text)
}

// change is what a request says of the change it wants, besides its body.
func change(r *http.Request, parameters []string) (control.Change, error) {
	c := control.Change{Route: r.PathValue("route"), Author: author(r), Reason: reasonOf(r)}
	if len(c.Reason) > longestReason {
		return c, badRequest("X-Reason has %d bytes; %d at most", len(c.Reason), longestReason)
	}
	if strings.ContainsFunc(c.Reason, unprintable) {
		return c, badRequest("X-Reason has characters that cannot be printed; write text in UTF-8")
	}
	if err := options(r, parameters); err != nil {
		return c, err
	}
	var err error
	if v := r.URL.Query().Get("force"); v != "" {
		if c.Force, err = strconv.ParseBool(v); err != nil {
			return c, badRequest("force=%s; true or false", v)
		}
	}
	if v := r.URL.Query().Get("ttl"); v != "" {
		if c.TTL, err = time.ParseDuration(v); err != nil || c.TTL <= 0 {
			return c, badRequest("ttl=%s; how long the change lasts, such as 15m or 2h30m", v)
		}
	}
	if v := r.URL.Query().Get("local"); v != "" {
		if c.Local, err = strconv.ParseBool(v); err != nil {
			return c, badRequest("local=%s; true or false", v)
		}
	}
	c.If, err = ifMatch(r.Header.Values("If-Match"))
	return c, err
}

// reasonOf is what the author of a request gives as the reason.
func reasonOf(r *http.Request) string { return strings.TrimSpace(r.Header.Get("X-Reason")) }

// unprintable says that a terminal might do something other than show c: a reason is shown to people for as long as it is kept.
func unprintable(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }

// options refuses query parameters that would otherwise be ignored.
func options(r *http.Request, allowed []string) error {
	for name := range r.URL.Query() {
		if !slices.Contains(allowed, name) {
			known := "there are none here"
			if len(allowed) > 0 {
				known = "there is " + strings.Join(allowed, ", ")
			}
			return badRequest("unknown query parameter %q; %s", name, known)
		}
	}
	return nil
}

// ifMatch reads the one revision a caller may have looked at; 0 for any.
func ifMatch(fields []string) (int64, error) {
	switch {
	case len(fields) == 0 || len(fields) == 1 && strings.TrimSpace(fields[0]) == "*":
		return 0, nil
	case len(fields) > 1 || strings.Contains(fields[0], ","):
		return 0, badRequest("If-Match names several revisions; one, as ETag gave it")
	}
	tag := strings.TrimSpace(fields[0])
	n, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%w: If-Match is %s, which is no revision; send the ETag of the status", control.ErrStale, tag)
	}
	return n, nil
}

// author is who a request comes from.
func author(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// admin is what the config in force says of this listener.
func (s *Server) admin() config.Admin { return s.Loop.Config().Admin }
