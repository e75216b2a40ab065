package shadow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"time"
	"unicode/utf8"
)

// excerpt is how much of a body is kept, in bytes.
const excerpt = 2 << 10

// Disagreement is one request to which the shadow gave another answer than the live pool.
type Disagreement struct {
	Time time.Time `json:"time"`
	// RequestID is what the client, the model servers and the access log know the request by.
	RequestID string `json:"request_id"`
	Method    string `json:"method"`
	Path      string `json:"path"` // without the query
	// Pool is the live pool that answered.
	Pool string `json:"pool"`
	// Severity is how bad it is, 0 to 1: with argmax, how sure both models were on the average; else how much differs.
	Severity float64 `json:"severity"`
	// Row is the worst of those that differ, from 0; Rows is how many there are.
	Row  int `json:"row"`
	Rows int `json:"rows"`
	// Differences are the first few.
	Differences []Difference `json:"differences,omitempty"`
	Request     Body         `json:"request"`
	Live        Said         `json:"live"`
	Shadow      Said         `json:"shadow"`
}

// Said is an answer.
type Said struct {
	Status  int     `json:"status"`
	Seconds float64 `json:"seconds"`
	Body    Body    `json:"body"`
}

// Body is what is kept of a body: only the length where nobody looked into it.
type Body struct {
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
}

func (p *parcel) disagreement(c *criteria, f *finding) *Disagreement {
	h, body := p.head()
	path, _, _ := bytes.Cut(h.Target, []byte("?"))
	d := &Disagreement{
		Time: time.Now(), RequestID: string(h.Get("x-request-id")), Method: p.method, Path: string(path), Pool: p.livePool,
		Severity: f.severity, Row: f.row, Rows: len(f.rows), Differences: append([]Difference(nil), f.noted...),
		Request: c.keep(int64(len(body)), body), Live: c.said(&p.live), Shadow: c.said(&p.answer),
	}
	for i := range d.Differences {
		if c.hashed || secretName.MatchString(d.Differences[i].Field) {
			d.Differences[i] = d.Differences[i].hashed()
		}
	}
	return d
}

func (c *criteria) said(a *answer) Said {
	return Said{Status: a.status, Seconds: a.took.Seconds(), Body: c.keep(a.length, a.Bytes[a.Head:])}
}

// keep is what is kept of a body of n bytes.
func (c *criteria) keep(n int64, body []byte) Body {
	kept := Body{Bytes: n}
	if len(body) == 0 {
		return kept
	}
	sum := sha256.Sum256(body)
	kept.SHA256 = hex.EncodeToString(sum[:])
	if !c.hashed {
		kept.Excerpt = redacted(body)
	}
	return kept
}

// hashed keeps of a value that might be private only that it differs.
func (d Difference) hashed() Difference {
	if d.Field != "status" && d.Field != "class" && d.Field != "confidence" && d.Field != "top_k" {
		d.Live, d.Shadow = nil, nil
	}
	return d
}

// secrets are members of JSON whose names sound as if nobody else should see them; a value may be cut off at its end.
const sounds = `(?:authorization|cookie|secret|password|credentials?|api[-_]?key|private[-_]?key|token)`

var (
	secretName = regexp.MustCompile(`(?i)` + sounds + `(?:\.#)?$`)
	secrets    = regexp.MustCompile(`(?i)("[^"]*` + sounds + `"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}\]]+)`)
)

// redacted is the beginning of a body without what sounds secret; nothing of a body that is no text.
func redacted(body []byte) string {
	cut := body[:min(len(body), excerpt)]
	for range utf8.UTFMax - 1 { // the last character may be cut
		if utf8.Valid(cut) || len(cut) == 0 {
			break
		}
		cut = cut[:len(cut)-1]
	}
	if !utf8.Valid(cut) {
		return ""
	}
	return string(secrets.ReplaceAll(cut, []byte(`$1"redacted"`)))
}
