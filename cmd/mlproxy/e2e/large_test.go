package e2e

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"mlproxy/modeltest"
)

// A body far larger than memory should ever hold passes whole in both directions, while the process hardly grows.
func TestLargeBodiesInBoundedMemory(t *testing.T) {
	archive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
			_, _ = io.Copy(w, large(n))
			return
		}
		_, _ = fmt.Fprint(w, digest(r.Body))
	}))
	t.Cleanup(archive.Close)
	config := simply(archive.URL) + "limits: {max_body: 2GiB}\n"

	f := func(r *running, n int64) {
		t.Helper()
		want := digest(large(n))
		upload := func() string {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.data+"/", large(n))
			must(t, err)
			request.ContentLength = n
			return take(t, request, func(body io.Reader) string { got, _ := io.ReadAll(body); return string(got) })
		}
		download := func() string {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/?n=%d", r.data, n), nil)
			must(t, err)
			return take(t, request, digest)
		}
		grew := r.growth(func() {
			must(t, equal("the upload", upload(), want))
			must(t, equal("the download", download(), want))
		})
		if grew > 16<<20 {
			t.Errorf("memory grew by %d KiB for bodies of %d KiB", grew>>10, n>>10)
		}
	}
	r := start(t, config)
	f(r, 1<<10) // connections and buffers are there
	f(r, 64<<20)
	r = run(t, swift, config)
	f(r, 1<<10)
	f(r, 1<<30)
}

// Nothing of a body is gone as long as there is no connection: a long one goes to another endpoint, too.
func TestLargeBodiesGoElsewhere(t *testing.T) {
	ports, give, err := modeltest.Hold(1)
	must(t, err)
	defer give()
	model := serve(t, modeltest.Options{})
	r := start(t, fmt.Sprintf("pools: {a: {balance: round_robin, endpoints: [%q, %q]}}\nroutes:\n  all: {match: {path: /}, split: {a: 1}}\n",
		"http://127.0.0.1:"+ports[0], model.URL))
	for range 2 { // one of them at least is meant for the endpoint that is not there
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.data+inferPath, strings.NewReader(setosa+strings.Repeat(" ", 1<<20)))
		must(t, err)
		take(t, request, func(body io.Reader) string { got, _ := io.ReadAll(body); return string(got) })
	}
}

// take sends a request and reads what must be its good answer.
func take(t *testing.T, request *http.Request, read func(io.Reader) string) string {
	t.Helper()
	answer, err := outside.Do(request)
	must(t, err)
	defer answer.Body.Close()
	must(t, equal("the status of the answer", answer.StatusCode, http.StatusOK))
	return read(answer.Body)
}

// digest is the length and hash of what is read, and the error that ended it.
func digest(from io.Reader) string {
	hash := sha256.New()
	n, err := io.Copy(hash, from)
	return fmt.Sprintf("%d %x %v", n, hash.Sum(nil), err)
}

// large is a body of n bytes in which no part occurs twice.
func large(n int64) io.Reader { return io.LimitReader(&blocks{}, n) }

// blocks are the same random bytes over and over, each time with their number in front.
type blocks struct {
	number uint64
	rest   []byte
}

var random = func() []byte {
	b := make([]byte, 32<<10+7)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// Read never fails.
func (b *blocks) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(b.rest) == 0 {
			b.number++
			b.rest = append([]byte(nil), random...)
			binary.LittleEndian.PutUint64(b.rest, b.number)
		}
		k := copy(p[n:], b.rest)
		n, b.rest = n+k, b.rest[k:]
	}
	return n, nil
}
