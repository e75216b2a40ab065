package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"mlproxy/journal"
	"mlproxy/monitor"
	"mlproxy/router"
)

// collectorTimeout is for one attempt to send spans, to the end of the answer.
const collectorTimeout = 5 * time.Second

// newTraces are spans on their way to the collector of the config in force, so that a reload changes it.
func newTraces(r *router.Router, registry *monitor.Registry, version string, log *slog.Logger) *journal.Traces {
	c := &collector{router: r, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConns: 1, IdleConnTimeout: time.Minute},
		Timeout:       collectorTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return journal.NewTraces(journal.TraceOptions{
		Sampling: c.sampling, Version: version, Post: c.post, Dropped: registry.TraceDropped, Log: log,
	})
}

// collector is where spans are sent. Its connections are of no pool: reloads and the health of model servers do not concern it.
type collector struct {
	router *router.Router
	client *http.Client
	last   string // URL of the config in force when spans were sent last; spans that wait when tracing is switched off still go there
}

// sampling is that of the config in force.
func (c *collector) sampling() journal.Sampling {
	if table := c.router.Table(); table != nil && table.Config().Tracing != nil {
		return journal.Sampling{On: true, Share: table.Config().Tracing.Sample}
	}
	return journal.Sampling{}
}

// post sends a batch. One goroutine calls it.
func (c *collector) post(ctx context.Context, body []byte) error {
	if tracing := c.router.Table().Config().Tracing; tracing != nil {
		c.last = tracing.Endpoint
	}
	if c.last == "" {
		return fmt.Errorf("%w: there is none any more", journal.ErrRefused)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.last, bytes.NewReader(body))
	if err != nil {
		return errors.Join(journal.ErrRefused, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	return verdict(response)
}

// verdict is whether a batch was taken, and if not, whether another attempt may help (OTLP/HTTP, "Retryable Response Codes").
func verdict(response *http.Response) error {
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("the collector answers %s", response.Status)
	}
	return fmt.Errorf("%w: it answers %s; tracing.endpoint is to be an OTLP/HTTP receiver that takes JSON", journal.ErrRefused, response.Status)
}
