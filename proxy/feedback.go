package proxy

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/upstream"
)

const (
	feedbackPath = "/_ml/feedback"
	feedbackMost = bufferAtMost // bytes of one body of feedback
	searchMost   = 8 << 10      // bytes of a body that is read for what is searched for
)

// appendReceipt adds what the client may name the exchange by in feedback, and has the exchange remembered, before the client can speak of it.
// Of routes without feedback it does nothing.
func (x *exchange) appendReceipt(dst []byte) []byte {
	l := x.version.Ledger
	if l == nil {
		return dst
	}
	joiner, session, query, firstPage := x.server.opt.Registry.Joiner(), uint64(0), []byte(nil), true
	if x.ans.Status < 300 {
		if session = joiner.Session(l, x.key); session != 0 {
			query, firstPage = x.sought()
		}
	}
	joiner.Served(l, x.id.bytes(), x.began, session, query, firstPage)
	dst = append(append(dst, receipt...), ": "...)
	return append(joiner.AppendReceipt(dst, l, x.id.bytes(), x.began), crlf...)
}

// sought is what the request searches for, and whether it wants the first page of results: the parameters q or query, and page, of the URL, or
// the members query and page of a short JSON body. query is nil when neither says.
func (x *exchange) sought() (query []byte, firstPage bool) {
	var page []byte
	if _, parameters, found := bytes.Cut(x.target, []byte{'?'}); found {
		query, page = soughtInURL(parameters)
	}
	if query == nil && x.replays && len(x.prefix) <= searchMost {
		query, _, _ = protocol.Field(x.prefix, "query") // nil unless found
		page, _, _ = protocol.Field(x.prefix, "page")
	}
	return query, len(page) == 0 || string(page) == "0" || string(page) == "1"
}

func soughtInURL(parameters []byte) (query, page []byte) {
	for len(parameters) > 0 {
		var pair []byte
		pair, parameters, _ = bytes.Cut(parameters, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		switch string(name) {
		case "q", "query":
			if text, err := url.QueryUnescape(string(value)); err == nil {
				query = []byte(text)
			}
		case "page":
			page = value
		}
	}
	return query, page
}

// isFeedback says that the request is for mlproxy itself: what a user did with an answer.
func (x *exchange) isFeedback() bool {
	return x.limits.table.Feedback != nil && string(x.path) == feedbackPath && string(x.req.Method) == "POST"
}

// takeFeedback counts what a client says that users did. Whoever reaches the listener may say it: it is counted apart.
func (x *exchange) takeFeedback() bool {
	joiner := x.server.opt.Registry.Joiner()
	if x.wait = x.limits.table.Feedback.Take(nil, x.clientAddr(), x.began); x.wait > 0 {
		joiner.Lost(monitor.FromData, monitor.FeedbackLimited, 1)
		return x.refuse(monitor.RateLimited, "no more feedback is taken from this client now; see Retry-After")
	}
	if err := x.readFeedback(); err != nil {
		return x.bodyFailed(err)
	}
	if !x.body.Done() {
		return x.refuse(monitor.BodyTooLarge, "the feedback is longer than "+strconv.Itoa(feedbackMost)+" bytes; send it in parts")
	}
	list, invalid, faults, err := monitor.ReadFeedback(x.prefix)
	if err != nil {
		invalid, faults = 1, []string{err.Error()}
	}
	joiner.Lost(monitor.FromData, monitor.FeedbackInvalid, invalid)
	if len(list) == 0 && len(faults) > 0 {
		return x.refuse(monitor.BadRequest, faults[0])
	}
	tally := joiner.Take(monitor.FromData, list, time.Now())
	tally.Invalid = invalid
	return x.acknowledge(&tally)
}

// readFeedback reads the body, unless it is too long.
func (x *exchange) readFeedback() error {
	switch {
	case x.body.Done():
		return nil
	case x.req.Framing == upstream.Chunked:
		return x.readChunks(feedbackMost)
	case x.req.Length > feedbackMost:
		return nil
	}
	return x.readLength(int(x.req.Length), 0)
}

// acknowledge says what became of the feedback.
func (x *exchange) acknowledge(t *monitor.FeedbackTally) bool {
	body, _ := json.Marshal(t) // of numbers alone
	x.seen.Status = 200
	x.out.start(x.conn.wire)
	b := append(x.out.buf, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"...)
	x.sendOwn(append(appendLength(x.appendSigned(b), int64(len(body))), body...))
	return false
}
