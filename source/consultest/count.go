package consultest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Counted is an address before the agent at which everything asked is counted, also while the agent does not answer: whoever asks then
// sees the connection break. It lasts for the length of the test.
func (a *Agent) Counted(t testing.TB) (address string, count func() int64) {
	t.Helper()
	to, err := url.Parse(a.Address())
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	transport := &http.Transport{}
	front := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { asked.Add(1); r.SetURL(to) },
		Transport:    transport,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(front)
	t.Cleanup(func() {
		server.CloseClientConnections() // queries that wait would be waited for
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL, asked.Load
}
