package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	c.http.Transport = &http.Transport{DisableKeepAlives: true}
	if tokenFile != "" {
		c.token, err = readToken(tokenFile)
	}
	return c, err
}

// Status asks what is in force.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	return s, c.ask(ctx, http.MethodGet, "/api/v1/status", "", nil, s)
}

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
		return fmt.Errorf("%w: %w; start it with mlproxy serve, or name its admin address with --admin", ErrUnreachable, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: the answer broke off: %w", ErrUnreachable, err)
	}
	return c.read(answer, text, result)
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
	if answer.StatusCode != http.StatusOK || kind != "application/json" {
		return fmt.Errorf("%s answers %s, which is not what mlproxy says; is this its admin address?", c.base, answer.Status)
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("%s answers something else than mlproxy would: %w; is it another version?", c.base, err)
	}
	return nil
}
