package proxy

import (
	"bytes"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// sample decides, once, whether the exchange is inspected: of what its request and its answer carry a copy is then made as they pass, for
// others to read later. A request without a body asks a model nothing; what a tunnel carries is not for us to read.
func (x *exchange) sample() {
	look := x.route.Inspection
	if look == nil || x.server.opt.Inspector == nil || x.upgrades || x.bodiless() || !look.Sample() {
		return
	}
	if upstream.Near(x.server.inFlight.Load(), x.limits.maxInFlight) {
		x.server.opt.Inspector.Refuse(monitor.InspectOverload)
		return
	}
	x.capture = x.server.opt.Inspector.Begin(look.Adapter, look.MaxBody)
}

func (x *exchange) bodiless() bool {
	return x.req.Framing == upstream.NoBody || x.req.Framing == upstream.ByLength && x.req.Length == 0
}

// captureUpload copies what is there of a body that streams; its pieces follow.
func (x *exchange) captureUpload() {
	if x.capture != nil {
		x.capture.Request(x.req.Length)
		x.capture.RequestBody(x.prefix)
	}
}

// captureAnswer begins the copy of the answer, whose head has come. Credentials stay out of it.
func (x *exchange) captureAnswer() {
	if x.capture == nil {
		return
	}
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; !x.isKey(f) && !secret(f.Name) {
			x.capture.RequestField(f.Name, f.Value)
		}
	}
	for i := range x.ans.Fields {
		if f := &x.ans.Fields[i]; !secret(f.Name) {
			x.capture.AnswerField(f.Name, f.Value)
		}
	}
	x.capture.Answer(x.ans.Status, x.ans.Length)
	x.came = x.seen.FirstByte
}

// secret says that a field has credentials.
func secret(name []byte) bool {
	for _, s := range secrets {
		if len(name) == len(s) && bytes.EqualFold(name, s) {
			return true
		}
	}
	return false
}

var secrets = [][]byte{[]byte("authorization"), []byte("cookie"), []byte("set-cookie"), []byte("proxy-authorization")}

// clock notes when the model server was read from, if that matters: of what one read brought every piece came then, however long the
// client took for the piece before.
func (x *exchange) clock() {
	if x.capture != nil && x.capture.Streams() {
		x.came = time.Since(x.sent)
	}
}

// inspect offers the copy of the finished exchange to the inspector, unless live traffic is near a limit. An exchange that is not inspected
// may be in the journal all the same; those that are come there from the inspector, with what they carried.
func (x *exchange) inspect() {
	if x.capture == nil || !x.handOver(x.capture) {
		x.note()
	}
	x.capture = nil
}

// handOver says whether the exchange is going to be inspected.
func (x *exchange) handOver(c *monitor.Capture) bool {
	switch inspector := x.server.opt.Inspector; {
	case !c.Answered() || x.version.Model == nil:
		inspector.Drop(c, monitor.InspectNoAnswer)
		return false
	case x.pressed():
		inspector.Drop(c, monitor.InspectOverload)
		return false
	default:
		if x.replays {
			c.Request(int64(len(x.prefix)))
			c.RequestBody(x.prefix)
		}
		if !x.body.Done() {
			c.CutRequest()
		}
		x.describe()
		x.record.Sampled = x.route.Inspection.Share
		return inspector.Offer(c, x.version.Model, &x.record, x.path)
	}
}
