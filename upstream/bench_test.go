package upstream

import (
	"strings"
	"testing"
)

const typicalRequest = "POST /v2/models/iris/infer HTTP/1.1\r\n" +
	"Host: models.example.com:8080\r\n" +
	"User-Agent: python-requests/2.32.3\r\n" +
	"Accept-Encoding: gzip, deflate\r\n" +
	"Accept: */*\r\n" +
	"Connection: keep-alive\r\n" +
	"Content-Type: application/json\r\n" +
	"X-User-Id: 7c2b1a3e-5d0f-4f43-9a10-0f6d2c9a7b11\r\n" +
	"Content-Length: 37\r\n\r\n"

const typicalAnswer = "HTTP/1.1 200 OK\r\n" +
	"Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
	"Server: uvicorn\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Length: 37\r\n\r\n" + `{"outputs":[{"name":"y","data":[1]}]}`

// What does it cost to find the end of a typical head of eight fields and to read it?
func BenchmarkReadTypicalRequest(b *testing.B) {
	var h Head
	raw := []byte(typicalRequest)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		n, err := HeadEnd(raw, 0, wide)
		if err == nil {
			err = h.ReadRequest(raw[:n], wide)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadTypicalAnswer(b *testing.B) {
	var h Head
	n := strings.Index(typicalAnswer, "\r\n\r\n") + 4
	raw := []byte(typicalAnswer[:n])
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ReadAnswer(raw, wide, false); err != nil {
			b.Fatal(err)
		}
	}
}

// What does a chunk of 16 bytes, and one of 4 KiB, cost to be taken out of its framing?
func BenchmarkReadChunk(b *testing.B) {
	f := func(name string, size int) {
		b.Run(name, func(b *testing.B) {
			chunk := AppendChunk(nil, make([]byte, size))
			body := started(Chunked, 0)
			r := &Reader{buf: chunk}
			b.ReportAllocs()
			for b.Loop() {
				r.r, r.w = 0, len(chunk)
				for {
					piece, err := body.Ready(r)
					if err != nil {
						b.Fatal(err)
					}
					if piece == nil {
						break
					}
				}
			}
		})
	}
	f("16B", 16)
	f("4KiB", 4<<10)
}

// How much of a chunk's cost is putting it into its framing?
func BenchmarkAppendChunk(b *testing.B) {
	piece, dst := make([]byte, 4<<10), make([]byte, 0, 8<<10)
	for b.Loop() {
		dst = AppendChunk(dst[:0], piece)
	}
}
