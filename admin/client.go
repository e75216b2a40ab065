package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/control"
)

// ErrUnreachable says that nothing answered at the admin address.
var ErrUnreachable = errors.New("mlproxy cannot be reached")

// maxAnswer bounds what the client reads, in bytes.
const maxAnswer = 64 << 20

// Client speaks to a running mlproxy's admin listener. Its errors are a *[Problem] when mlproxy refused, [ErrUnreachable]
// when nothing answered.
type Client struct {
	base, token string
	http        http.Client
}

// NewClient makes a client of the admin listener at address (host:port or URL). tokenFile holds the bearer token that
// changes need; empty for none.
func NewClient(address, tokenFile string) (*Client, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no admin address; http://host:port", address)
	}
	c := &Client{base: strings.TrimSuffix(address, "/")}
	c.http.Timeout = 15 * time.Second
	c.http.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if tokenFile != "" {
		c.token, err = readToken(tokenFile)
	}
	return c, err
}

// Trust has the client believe a listener with https:// on the word of the authorities in caFile instead of the system's, and show it the
// certificate in certFile, whose key is in keyFile. Each may be empty.
func (c *Client) Trust(caFile, certFile, keyFile string) error {
	with := c.http.Transport.(*http.Transport).TLSClientConfig
	if (certFile == "") != (keyFile == "") {
		return errors.New("a certificate needs its key, and a key its certificate; name both")
	}
	if caFile != "" {
		pool, err := config.LoadAuthorities(caFile)
		if err != nil {
			return fmt.Errorf("cannot read the authorities: %w; name a file of certificates in PEM", err)
		}
		with.RootCAs = pool
	}
	if certFile != "" {
		pair, err := config.LoadPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("cannot read the certificate: %w; name a certificate and its key in PEM", err)
		}
		with.Certificates = []tls.Certificate{*pair}
	}
	return nil
}

// Status asks what is in force.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	return s, c.ask(ctx, http.MethodGet, "/api/v1/status", "", nil, s)
}

// Shadows asks how the answers of a route's shadows compare with the live ones.
func (c *Client) Shadows(ctx context.Context, route string) (*Shadows, error) {
	s := new(Shadows)
	return s, c.ask(ctx, http.MethodGet, shadowPath(route), "", nil, s)
}

// CompareAnew forgets what is known of them.
func (c *Client) CompareAnew(ctx context.Context, route, reason string) (*Shadows, error) {
	s := new(Shadows)
	return s, c.ask(ctx, http.MethodDelete, shadowPath(route), reason, nil, s)
}

func shadowPath(route string) string { return "/api/v1/routes/" + url.PathEscape(route) + "/shadow" }

// Revisions asks for the last revisions, the newest first.
func (c *Client) Revisions(ctx context.Context) ([]control.Revision, error) {
	var r Revisions
	err := c.ask(ctx, http.MethodGet, "/api/v1/revisions", "", nil, &r)
	return r.Revisions, err
}

// Overrides asks what operators have said.
func (c *Client) Overrides(ctx context.Context) (o control.Overrides, err error) {
	err = c.ask(ctx, http.MethodGet, "/api/v1/overrides", "", nil, &o)
	return o, err
}

// Plan asks what a config file of that content would change.
func (c *Client) Plan(ctx context.Context, file []byte) (*control.Plan, error) {
	p := new(control.Plan)
	return p, c.ask(ctx, http.MethodPost, "/api/v1/plan", "", file, p)
}

// History asks what operators changed in the fleet; nothing without one.
func (c *Client) History(ctx context.Context) ([]control.Event, error) {
	var h History
	err := c.ask(ctx, http.MethodGet, "/api/v1/history", "", nil, &h)
	return h.Events, err
}

// Await asks which proxies of the fleet act by the config in force, once all of them do, or after a while.
func (c *Client) Await(ctx context.Context, within time.Duration) (*control.Agreement, error) {
	a := new(control.Agreement)
	return a, c.ask(ctx, http.MethodGet, "/api/v1/fleet?wait="+within.String(), "", nil, a)
}

// SetSplit divides a route's traffic anew.
func (c *Client) SetSplit(ctx context.Context, change control.Change, split config.Weights) (control.Revision, error) {
	return c.change(ctx, http.MethodPut, routePath(change, "split"), change, split)
}

// SetActive switches a route to blue or green.
func (c *Client) SetActive(ctx context.Context, change control.Change, active string) (control.Revision, error) {
	return c.change(ctx, http.MethodPut, routePath(change, "active"), change, map[string]string{"active": active})
}

// Rollback returns a route to its previous split or active pool.
func (c *Client) Rollback(ctx context.Context, change control.Change) (control.Revision, error) {
	return c.change(ctx, http.MethodPost, routePath(change, "rollback"), change, nil)
}

// RemoveOverride lets the config file decide again.
func (c *Client) RemoveOverride(ctx context.Context, change control.Change) (control.Revision, error) {
	return c.change(ctx, http.MethodDelete, routePath(change, "override"), change, nil)
}

// Restore returns all routes to an earlier revision.
func (c *Client) Restore(ctx context.Context, change control.Change, number int64) (control.Revision, error) {
	return c.change(ctx, http.MethodPost, fmt.Sprintf("/api/v1/revisions/%d/restore", number), change, nil)
}

// Drain takes a pool out of all new traffic.
func (c *Client) Drain(ctx context.Context, change control.Change, pool string) (control.Revision, error) {
	return c.change(ctx, http.MethodPut, drainOf("pools", pool), change, nil)
}

// Undrain gives a drained pool its traffic back.
func (c *Client) Undrain(ctx context.Context, change control.Change, pool string) (control.Revision, error) {
	return c.change(ctx, http.MethodDelete, drainOf("pools", pool), change, nil)
}

// DrainEndpoint takes an endpoint, a URL or host:port, out of the new traffic of every pool.
func (c *Client) DrainEndpoint(ctx context.Context, change control.Change, endpoint string) (control.Revision, error) {
	return c.change(ctx, http.MethodPut, drainOf("endpoints", endpoint), change, nil)
}

// UndrainEndpoint gives a drained endpoint its traffic back.
func (c *Client) UndrainEndpoint(ctx context.Context, change control.Change, endpoint string) (control.Revision, error) {
	return c.change(ctx, http.MethodDelete, drainOf("endpoints", endpoint), change, nil)
}

func drainOf(of, name string) string { return "/api/v1/" + of + "/" + url.PathEscape(name) + "/drain" }

func routePath(change control.Change, what string) string {
	return "/api/v1/routes/" + url.PathEscape(change.Route) + "/" + what
}

func (c *Client) change(ctx context.Context, method, path string, change control.Change, body any) (r control.Revision, err error) {
	options := url.Values{}
	if change.Force {
		options.Set("force", "true")
	}
	if change.Local {
		options.Set("local", "true")
	}
	if change.TTL != 0 {
		options.Set("ttl", change.TTL.String())
	}
	if len(options) > 0 {
		path += "?" + options.Encode()
	}
	err = c.ask(ctx, method, path, change.Reason, body, &r)
	return r, err
}

// ask sends one request and reads its answer into result. A body is sent as JSON, or as it stands if it is bytes.
func (c *Client) ask(ctx context.Context, method, path, reason string, body, result any) error {
	r, err := c.request(ctx, method, path, reason, body)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w; %s", ErrUnreachable, err, remedy(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: the answer broke off: %w", ErrUnreachable, err)
	}
	return c.read(answer, text, result)
}

// remedy is what to do when there is no answer.
func remedy(err error) string {
	said, ok := errors.AsType[*net.OpError](err)
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "name the authority of its certificate with --ca-file"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "use a name that its certificate has, or renew it"
	case errors.As(err, new(tls.RecordHeaderError)), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it speaks no TLS there: use http://"
	case ok && said.Op == "remote error":
		return "it asks for a certificate that it accepts: name one with --cert-file and --key-file"
	}
	return "start it with mlproxy serve, or name its admin address with --admin"
}

func (c *Client) request(ctx context.Context, method, path, reason string, body any) (*http.Request, error) {
	content, kind := []byte(nil), ""
	switch b := body.(type) {
	case nil:
	case []byte:
		content, kind = b, "application/yaml"
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if reason != "" {
		r.Header.Set("X-Reason", reason)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return r, nil
}

// read is what an answer says: the result, a problem, or nothing that mlproxy would say.
func (c *Client) read(answer *http.Response, text []byte, result any) error {
	kind := answer.Header.Get("Content-Type")
	if kind == "application/problem+json" {
		p := new(Problem)
		if err := json.Unmarshal(text, p); err == nil {
			return p
		}
	}
	if answer.StatusCode == http.StatusBadRequest && strings.Contains(string(text), "HTTPS server") {
		return fmt.Errorf("%w: %s speaks TLS; use https://", ErrUnreachable, c.base)
	}
	if answer.StatusCode != http.StatusOK || kind != "application/json" {
		return fmt.Errorf("%s answers %s, which is not what mlproxy says; is this its admin address?", c.base, answer.Status)
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("%s answers something else than mlproxy would: %w; is it another version?", c.base, err)
	}
	return nil
}
