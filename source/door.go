package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// maxAnswer bounds what is read of one answer. Consul's keys may have 512 KiB each, and base64 makes them a third longer.
const maxAnswer = 16 << 20

// door is the one way to Consul: it keeps the pace of all queries together, shows the token of the moment, counts, and turns every
// answer that is none into one of the package's errors.
type door struct {
	base  *http.Transport
	token func() (string, error)
	pace  *pace
	limit int // bytes of one answer

	asked    atomic.Int64
	answered atomic.Int64 // Unix time in nanoseconds; 0 = never
}

func newDoor(token func() (string, error), authorities func() (*x509.CertPool, error)) *door {
	dialer := &net.Dialer{
		Timeout: 2 * time.Second,
		// A query waits in silence for half a minute; a peer that is gone without a word is noticed by this.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
	}
	secure := func(ctx context.Context, network, addr string) (net.Conn, error) {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if authorities != nil {
			var err error
			if config.RootCAs, err = authorities(); err != nil {
				return nil, fmt.Errorf("the authorities of its certificate cannot be read: %w", err)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, addr)
	}
	return &door{
		base: &http.Transport{
			DialContext: dialer.DialContext, DialTLSContext: secure, MaxResponseHeaderBytes: 64 << 10,
			// A query that breaks on a used connection would be sent again behind our back, uncounted.
			DisableKeepAlives: true,
		},
		token: token, limit: maxAnswer,
		pace: &pace{gap: 125 * time.Millisecond, limit: 3 * time.Second}, // no second sees more than 10 queries
	}
}

// RoundTrip asks once. What Consul refuses is an error, but for what means something to consul/api: 404 and 409.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := d.pace.wait(r.Context()); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Del("X-Consul-Token")
	if d.token != nil {
		token, err := d.token()
		if err != nil {
			return nil, fmt.Errorf("%w: the token cannot be read: %w", ErrForbidden, err)
		}
		if token != "" {
			r.Header.Set("X-Consul-Token", token)
		}
	}
	d.asked.Add(1)
	answer, err := d.base.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	answer.Body = &bounded{ReadCloser: answer.Body, limit: d.limit, left: d.limit}
	err = refused(answer)
	if !errors.Is(err, ErrUnreachable) {
		d.answered.Store(time.Now().UnixNano())
	}
	if err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return answer, nil
}

// lastAnswer is when Consul last answered anything; the zero time means never.
func (d *door) lastAnswer() time.Time {
	at := d.answered.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// refused says what a status means that is not an answer.
func refused(answer *http.Response) error {
	switch code := answer.StatusCode; {
	case code < 400, code == http.StatusNotFound, code == http.StatusConflict:
		return nil
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", ErrForbidden, words(answer.Body))
	case code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w for consul: %s", ErrTooLarge, words(answer.Body))
	default:
		return fmt.Errorf("%w: status %d: %s", ErrUnreachable, code, words(answer.Body))
	}
}

// words are the first ones of an answer that says why it is none.
func words(body io.Reader) string {
	said, _ := io.ReadAll(io.LimitReader(body, 300))
	return strings.TrimSpace(string(said))
}

// bounded is a body that is not read beyond a size.
type bounded struct {
	io.ReadCloser
	limit, left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: an answer of more than %d bytes", ErrTooLarge, b.limit)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// plain takes the library's wrapping off an error, and makes what is none of ours a lost answer.
func plain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	for _, ours := range []error{ErrConflict, ErrUnreachable, ErrTooLarge, ErrForbidden} {
		if err == nil || errors.Is(err, ours) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
