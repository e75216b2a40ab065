package admin

import "testing"

func TestFeedbackIsTakenAsChangesAre(t *testing.T) {
	d := open(t, "token_file: token")
	const body, token = `{"request_id":"x","event":"click"}`, "Authorization: Bearer secret"
	d.expect(401, "token", "POST", "/api/v1/feedback", body)
	d.expect(200, `"orphan": 1`, "POST", "/api/v1/feedback", body, token)
	d.expect(200, `"entry 1: event is`, "POST", "/api/v1/feedback", `{"request_id":"x","event":"clack"}`+"\n"+body, token)
	d.expect(400, "names no exchange", "POST", "/api/v1/feedback", `{"event":"click"}`, token)
	d.expect(400, "empty", "POST", "/api/v1/feedback", "", token)
	d.expect(400, "unknown query parameter", "POST", "/api/v1/feedback?route=iris", body, token)
	d.expect(405, "", "GET", "/api/v1/feedback", "")
}

func TestFeedbackOfARoute(t *testing.T) {
	d := open(t, "")
	d.expect(200, `"window": "1h0m0s"`, "GET", "/api/v1/routes/iris/feedback", "")
	d.expect(200, `"pool": "b"`, "GET", "/api/v1/routes/iris/feedback?window=24h", "")
	for _, window := range []string{"1s", "25h", "soon", "-1h"} {
		d.expect(400, "1m to 24h", "GET", "/api/v1/routes/iris/feedback?window="+window, "")
	}
	d.expect(404, "unknown route", "GET", "/api/v1/routes/iron/feedback", "")
	d.expect(409, "feedback: true", "GET", "/api/v1/routes/search/feedback", "")
}
