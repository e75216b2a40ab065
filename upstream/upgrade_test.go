package upstream

import "testing"

func TestUpgrades(t *testing.T) {
	limit := Limits{Bytes: 4096, Fields: 20}
	// f offers what lines say, has an answer agree to what others say, and holds the outcome.
	f := func(offer, want, answer string, agrees bool) {
		t.Helper()
		var req, ans Head
		if bad := req.ReadRequest([]byte("GET / HTTP/1.1\r\nHost: a\r\n"+offer+"\r\n"), limit); bad != nil {
			t.Fatal(bad)
		}
		if bad := ans.ReadAnswer([]byte("HTTP/1.1 101 X\r\n"+answer+"\r\n"), limit, false); bad != nil {
			t.Fatal(bad)
		}
		if got := string(req.appendProtocols(nil)); got != want || req.AsksUpgrade() != (want != "") {
			t.Errorf("%q offers %q, %v, want %q", offer, got, req.AsksUpgrade(), want)
		}
		if got := ans.Agrees(&req); got != agrees {
			t.Errorf("%q agrees to %q: %v", answer, offer, got)
		}
	}
	ws := "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	f(ws, "websocket", ws, true)
	f(ws, "websocket", "Connection: x, upgrade\r\nUpgrade: WebSocket\r\n", true)
	f(ws, "websocket", "Upgrade: websocket\r\n", false)
	f(ws, "websocket", "Connection: Upgrade\r\n", false)
	f(ws, "websocket", "Connection: Upgrade\r\nUpgrade: ,\r\n", false)
	f(ws, "websocket", ws+"Upgrade: foo\r\n", false)
	f(ws, "websocket", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false)
	f("Connection: Upgrade\r\nUpgrade: h2c\r\n", "", "Connection: Upgrade\r\nUpgrade: h2c\r\n", false)
	f("Connection: Upgrade\r\nUpgrade: foo/1, ,h2c-14,tls/1.0\r\nupgrade: HTTP/2, bar\r\n", "foo/1, bar", "Connection: Upgrade\r\nUpgrade: bar, foo/1\r\n", true)
	f("Connection: Upgrade\r\nUpgrade: a/, /b, c d, e/f/g\r\n", "", ws, false)
}
