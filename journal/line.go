package journal

import (
	"strconv"
	"time"
	"unicode/utf8"

	"mlproxy/monitor"
)

// What a client sends is cut at so many bytes, so that a line has a bound; what was cut ends in three dots.
const (
	mostPath = 2048
	mostText = 256
)

const timeForm = "2006-01-02T15:04:05.000000Z"

// appendLine appends the line of a record: one JSON object, its fields always there and in this order, in printable ASCII.
func appendLine(b []byte, r *monitor.Record) []byte {
	b = append(b, `{"time":"`...)
	b = r.At.UTC().AppendFormat(b, timeForm)
	b = appendBytes(b, `","request_id":"`, r.RequestID, mostText)
	b = appendBytes(b, `","client":"`, r.Client, mostText)
	b = appendBytes(b, `","method":"`, r.Method, mostText)
	b = appendBytes(b, `","host":"`, r.Host, mostText)
	b = appendBytes(b, `","path":"`, r.Path, mostPath)
	b = appendName(b, `","protocol":"`, r.Protocol)
	b = appendBytes(b, `","user_agent":"`, r.UserAgent, mostText)
	b = appendName(b, `","route":"`, r.Route)
	b = appendName(b, `","pool":"`, r.Pool)
	b = appendName(b, `","endpoint":"`, r.Endpoint)
	b = appendName(b, `","api_key":"`, r.APIKey)
	b = appendName(b, `","assigned_by":"`, r.AssignedBy)
	b = appendName(b, `","failed_over_from":"`, r.FailedOverFrom)
	b = appendNumber(b, `","tries":`, int64(r.Tries))
	return append(appendSeen(b, r.Seen), "}\n"...)
}

// appendSeen appends what became of the exchange. What was never waited for is null.
func appendSeen(b []byte, o *monitor.Observation) []byte {
	b = appendNumber(b, `,"status":`, int64(o.Status))
	b = appendName(b, `,"reason":"`, o.Reason.String())
	b = appendNumber(b, `","bytes_in":`, o.BytesIn)
	b = appendNumber(b, `,"bytes_out":`, o.BytesOut)
	b = appendMillis(b, `,"duration_ms":`, o.Duration, true)
	b = appendMillis(b, `,"overhead_ms":`, o.Overhead, true)
	b = appendMillis(b, `,"upstream_ms":`, o.Upstream, o.Sent)
	return appendMillis(b, `,"first_byte_ms":`, o.FirstByte, o.Answered)
}

func appendNumber(b []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(b, key...), n, 10)
}

// appendMillis appends milliseconds to the microsecond.
func appendMillis(b []byte, key string, d time.Duration, known bool) []byte {
	b = append(b, key...)
	if !known {
		return append(b, "null"...)
	}
	micros := max(d, 0).Microseconds()
	b = strconv.AppendInt(b, micros/1000, 10)
	rest := micros % 1000
	return append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

// appendName appends a string of the config's or of ours; names are safe, yet nothing is lost by making sure.
func appendName(b []byte, key, s string) []byte {
	return appendEscaped(append(b, key...), s)
}

// appendBytes appends a string of the client's.
func appendBytes(b []byte, key string, s []byte, most int) []byte {
	b = append(b, key...)
	if len(s) <= most {
		return appendEscaped(b, s)
	}
	return append(appendEscaped(b, s[:most]), "..."...)
}

// appendEscaped appends s as the inside of a JSON string in printable ASCII: control bytes would end the line or speak to the
// terminal of whoever reads it, and so would some of what is beyond ASCII. A byte that is no UTF-8 becomes U+FFFD.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	plain := 0 // where the bytes begin that need no escape and were not appended yet
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[plain:i]...)
		n := 1
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			var r rune
			r, n = firstRune(s[i:min(len(s), i+utf8.UTFMax)])
			b = appendRune(b, r)
		}
		i += n
		plain = i
	}
	return append(b, s[plain:]...)
}

func firstRune[T string | []byte](s T) (r rune, size int) {
	return utf8.DecodeRuneInString(string(s))
}

// appendRune appends \uXXXX, or two of them for what lies beyond 16 bits.
func appendRune(b []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		return appendRune(appendRune(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
