package admin

import "testing"

func TestSummaryOfARoute(t *testing.T) {
	d := open(t, "")
	d.expect(200, `"window": "5m0s"`, "GET", "/api/v1/routes/iris/summary", "")
	d.expect(200, `"pool": "b"`, "GET", "/api/v1/routes/iris/summary?window=1h", "")
	for _, window := range []string{"1s", "61m", "soon", "-1h"} {
		d.expect(400, "10s to 1h", "GET", "/api/v1/routes/iris/summary?window="+window, "")
	}
	d.expect(400, "unknown query parameter", "GET", "/api/v1/routes/iris/summary?windows=5m", "")
	d.expect(404, "unknown route", "GET", "/api/v1/routes/iron/summary", "")
	d.expect(409, "set its protocol", "GET", "/api/v1/routes/search/summary", "")
}
