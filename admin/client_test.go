package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/modeltest"
)

func newClient(t *testing.T, address, token string) *Client {
	t.Helper()
	c, err := NewClient(address, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient(t *testing.T) {
	d := open(t, "token_file: token")
	c := newClient(t, strings.TrimPrefix(d.url, "http://"), d.token)
	search := control.Change{Route: "search", Reason: "why not"}

	revision, err := c.SetSplit(t.Context(), control.Change{Route: "iris"}, config.Weights{"a": 1, "b": 3})
	if err != nil || revision.Number != 2 {
		t.Errorf("split: %+v, %v", revision, err)
	}
	if _, err = c.RemoveOverride(t.Context(), control.Change{Route: "iris"}); err != nil {
		t.Errorf("remove override: %v", err)
	}
	var p *Problem
	if _, err = c.SetActive(t.Context(), search, "green"); !errors.As(err, &p) || p.Status != http.StatusConflict || p.Reason != "unfit" {
		t.Errorf("switch to a dead pool: %v", err)
	}
	search.Force = true
	if revision, err = c.SetActive(t.Context(), search, "green"); err != nil || revision.Reason != "why not" {
		t.Errorf("forced switch: %+v, %v", revision, err)
	}
	if _, err = c.Rollback(t.Context(), search); err != nil {
		t.Errorf("rollback: %v", err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Number != 5 || s.Routes["search"].Active != "blue" {
		t.Errorf("status: %+v, %v", s, err)
	}
	_, err = newClient(t, d.url, "").Rollback(t.Context(), search)
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", err)
	}
}

func TestClientOfSomethingElse(t *testing.T) {
	address, _, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	if _, err := newClient(t, address, "").Status(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody: %v", err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, err := newClient(t, other.URL, "").Status(t.Context()); err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "admin address") {
		t.Errorf("another server: %v", err)
	}
}

func TestClientsThatCannotBe(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(address, token, want string) {
		t.Helper()
		if _, err := NewClient(address, token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: got %v, want %q", address, token, err, want)
		}
	}
	f("ftp://host", "", "no admin address")
	f("http://", "", "no admin address")
	f("http://host:port", "", "no admin address")
	f("localhost:9090", "/nowhere", "cannot read the token")
	f("localhost:9090", empty, "empty")
}
