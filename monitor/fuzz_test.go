package monitor

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every entry of a body is feedback or a fault; feedback is within its bounds, and says the same when it is written again.
func FuzzReadFeedback(f *testing.F) {
	for _, s := range []string{
		`{"request_id":"a","event":"click"}`, `[{"receipt":"r","row":2,"event":"label","value":"cat","ts":1700000000.5},7]`,
		"{\"event\":1}\r\n\n{", `[]`, `click`, "",
		`{"request_id":"a","event":"accepted","ts":"2023-11-14T22:13:20+23:59"}`, `{"request_id":"a","event":"reward","value":1e308}`,
		`{"request_id":"a","event":"edited","ts":"1600-01-01T00:00:00Z"}`, `{"request_id":"a","event":"label","value":"` + strings.Repeat("x", 1025) + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, invalid, faults, err := ReadFeedback(body)
		want, readable := entriesIn(body)
		if readable != (err == nil) || len(list)+invalid != want || len(faults) != min(invalid, mostFaults) {
			t.Fatalf("%d entries are %+v, %d invalid (%v), %v", want, list, invalid, faults, err)
		}
		if len(list) == 0 {
			return
		}
		written := make([]map[string]any, len(list))
		for i, one := range list {
			checkFeedback(t, one)
			written[i] = map[string]any{"request_id": one.RequestID, "receipt": one.Receipt, "row": one.Row, "event": one.Event.String(), "value": one.Value}
			if !one.At.IsZero() {
				written[i]["ts"] = one.At
			}
		}
		text, err := json.Marshal(written)
		must(t, err)
		if again, _, faults, err := ReadFeedback(text); err != nil || faults != nil || !cmp.Equal(again, list) {
			t.Errorf("%s: %v, %v, -was +is:\n%s", text, faults, err, cmp.Diff(list, again))
		}
	})
}

// entriesIn is how many entries a body has, and whether it can be read at all.
func entriesIn(body []byte) (n int, readable bool) {
	body = bytes.TrimSpace(body)
	switch {
	case bytes.HasPrefix(body, []byte{'['}):
		var all []any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		_ = d.Decode(&all)
		n, readable = len(all), json.Valid(body)
	case bytes.HasPrefix(body, []byte{'{'}):
		readable = true
		for line := range bytes.SplitSeq(body, []byte{'\n'}) {
			if len(bytes.TrimSpace(line)) > 0 {
				n++
			}
		}
		if json.Valid(body) {
			n = 1
		}
	}
	if !readable || n > 10_000 {
		return 0, false
	}
	return n, true
}

func checkFeedback(t *testing.T, f Feedback) {
	t.Helper()
	number, isNumber := f.Value.(float64)
	text, isText := f.Value.(string)
	_, isBool := f.Value.(bool)
	switch {
	case f.RequestID == "" && f.Receipt == "":
		t.Errorf("%+v names no exchange", f)
	case f.Row < 0 || f.Row > 255 || f.Event >= feedbackEvents:
		t.Errorf("%+v is of no row, or no event", f)
	case f.Value != nil && !isNumber && !isText && !isBool || len(text) > 1024:
		t.Errorf("%+v has a value of %T, %d bytes", f, f.Value, len(text))
	case f.Event == Label && f.Value == nil, f.Event == Reward && !isNumber:
		t.Errorf("%+v lacks the value that it needs", f)
	case f.Event == Reward && math.IsInf(number*math.MaxInt64, 0):
		t.Errorf("%+v: rewards like this have no mean", f)
	case !f.At.IsZero() && (f.At.Unix() < 0 || f.At.Year() > 9999):
		t.Errorf("%+v was at no time of ours", f)
	}
}

// A receipt says what was signed, however it is bent.
func FuzzReceipt(f *testing.F) {
	f.Add("iris", "stable", "0193563c-9a1b-7cc2-8f2e-52a5b1a30e11", int64(1700000000500), uint16(3), byte(1), uint16(0))
	f.Add("", "", "", int64(-1), uint16(0), byte(0), uint16(1))
	f.Fuzz(func(t *testing.T, route, pool, id string, ms int64, at uint16, flip byte, cut uint16) {
		s := new(seals)
		s.use([][]byte{[]byte("a key of the test")})
		short := func(text string) string { return text[:min(len(text), 255)] }
		want := Receipt{short(route), short(pool), short(id), time.UnixMilli(ms)}
		receipt := s.append(nil, route, pool, []byte(id), time.UnixMilli(ms))
		if got, ok := s.read(string(receipt)); !ok || got != want {
			t.Fatalf("%s: %+v, %v, want %+v", receipt, got, ok, want)
		}
		bent := bytes.Clone(receipt)
		bent[int(at)%len(bent)] ^= flip
		bent = bent[:len(bent)-int(cut)%len(bent)]
		if got, ok := s.read(string(bent)); ok && got != want {
			t.Errorf("%s is believed, and says %+v in place of %+v", bent, got, want)
		}
	})
}
