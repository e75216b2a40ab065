package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check is how an endpoint is probed. With a Body it is a canned inference: the model itself is asked.
type Check struct {
	// Path is what is asked for, with its query.
	Path string
	// Method is GET unless there is a Body, then POST.
	Method string
	// Host is what the endpoint is told; empty = its own address.
	Host string
	// Interval is the time between two probes; 0 = 2s. In doubt it is a quarter.
	Interval time.Duration
	// Timeout is for the whole probe, from connecting to the last byte; 0 = 500ms.
	Timeout time.Duration
	// Rise is how many successes in a row bring an endpoint back (0 = 2), Fall how many failures take it out (0 = 3).
	Rise, Fall int
	// Status are the statuses of success; empty = 200.
	Status []int
	// Body is sent, as ContentType says.
	Body        []byte
	ContentType string
	// failures, of a knock, are the statuses of failure, in place of Status.
	failures []int
	// Expect holds paths into a JSON answer, as outputs.0.data.0, and the value there must be, as text.
	Expect map[string]string
	// TLS is for https endpoints; nil = the certificate must come from one of the system's authorities.
	TLS Trust
}

// Trust is how TLS is spoken to model servers: whom it believes, and what it shows them.
type Trust interface {
	// Connect is for a connection to addr, host:port.
	Connect(addr string) *tls.Config
}

// mostRead is how much of an answer is read.
const mostRead = 64 << 10

func (c Check) withDefaults() *Check {
	if c.Method == "" {
		c.Method = http.MethodGet
		if len(c.Body) > 0 {
			c.Method = http.MethodPost
		}
	}
	c.Interval = orElse(c.Interval, 2*time.Second)
	c.Timeout = orElse(c.Timeout, 500*time.Millisecond)
	c.Rise = orElse(c.Rise, 2)
	c.Fall = orElse(c.Fall, 3)
	c.Status = slices.Clone(c.Status)
	if len(c.Status) == 0 {
		c.Status = []int{http.StatusOK}
	}
	c.Body = bytes.Clone(c.Body)
	c.Expect = maps.Clone(c.Expect)
	return &c
}

func orElse[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

func (c *Check) same(o *Check) bool {
	if c == nil || o == nil {
		return c == o
	}
	a, b := *c, *o
	a.TLS, b.TLS = nil, nil
	return c.TLS == o.TLS && reflect.DeepEqual(a, b)
}

func (c *Check) String() string { return c.Method + " " + c.Path }

// ask probes the endpoint once. The error says what was wrong, in words.
func (c *Check) ask(ctx context.Context, client *http.Client, endpoint string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, noAnswer(c.Timeout))
	defer cancel()
	request, err := c.request(ctx, endpoint)
	if err != nil {
		return err
	}
	response, err := c.secured(client).Do(request)
	if err != nil {
		return plain(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostRead+1))
	if err != nil {
		return fmt.Errorf("status %d, then %w", response.StatusCode, plain(ctx, err))
	}
	return c.judge(response.StatusCode, body)
}

func (c *Check) request(ctx context.Context, endpoint string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, c.Method, strings.TrimSuffix(endpoint, "/")+c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	request.Host = c.Host
	request.Header.Set("User-Agent", "mlproxy-health")
	if c.ContentType != "" {
		request.Header.Set("Content-Type", c.ContentType)
	}
	return request, nil
}

func (c *Check) judge(status int, body []byte) error {
	if c.fails(status) {
		if c.failures != nil {
			return fmt.Errorf("status %d", status)
		}
		return fmt.Errorf("status %d, not %s", status, list(c.Status))
	}
	if len(c.Expect) == 0 {
		return nil
	}
	if len(body) > mostRead {
		return fmt.Errorf("the answer is longer than the %d KiB that are read; ask something with a shorter answer", mostRead>>10)
	}
	return expect(body, c.Expect)
}

func list(statuses []int) string {
	words := make([]string, len(statuses))
	for i, s := range statuses {
		words[i] = strconv.Itoa(s)
	}
	return strings.Join(words, " or ")
}

// noAnswer is the time in which nothing came that would have been an answer, good or bad.
type noAnswer time.Duration

func (n noAnswer) Error() string { return fmt.Sprintf("no answer within %v", time.Duration(n)) }

func unanswered(err error) bool {
	_, is := errors.AsType[noAnswer](err)
	return is
}

// plain takes off an error of net/http what a reader knows already: the address, and which call of the system it was.
func plain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	if whole, ok := errors.AsType[*url.Error](err); ok {
		err = whole.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer did")
	}
	return err
}
