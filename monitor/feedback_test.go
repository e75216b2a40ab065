package monitor

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mlproxy/protocol"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rates replays impressions and clicks and holds every figure to the reference: testdata/feedback/PROVENANCE.md.
func TestClickThroughRateIsThatOfTheReference(t *testing.T) {
	var want struct {
		Versions map[string]struct {
			Impressions, Clicked int64
			CTR                  float64
			Wilson               [2]float64 `json:"wilson_95"`
		}
		Orphan    int64 `json:"orphan_clicks"`
		Late      int64 `json:"late_clicks"`
		Duplicate int64 `json:"duplicate_clicks"`
	}
	readJSON(t, "ctr_expected.json", &want)
	r := New()
	j := r.Joiner()
	j.Configure(FeedbackSettings{Window: 120 * time.Second, Remember: 100_000})
	var clicks FeedbackTally
	var now time.Time
	for line := range lines(t, "ctr_events.jsonl") {
		var e struct {
			Type      string
			TS        float64
			RequestID string `json:"request_id"`
			Version   string
		}
		must(t, json.Unmarshal(line, &e))
		now = time.Unix(0, int64(math.Round(e.TS*1000))*1e6)
		if e.Type == "impression" {
			if h := j.served.shard(hashID(j.served, e.RequestID)); h.find(hashID(j.served, e.RequestID)) == nil {
				h.mu.Unlock()
				j.Served(r.Ledger("search", e.Version), []byte(e.RequestID), now, 0, nil, true)
			} else {
				h.mu.Unlock()
			}
			j.Take(FromAdmin, []Feedback{{RequestID: e.RequestID, Event: Impression}}, now)
			continue
		}
		got := j.Take(FromAdmin, []Feedback{{RequestID: e.RequestID, Event: Click}}, now)
		clicks.Orphan += got.Orphan
		clicks.Late += got.Late
		clicks.Duplicate += got.Duplicate
	}
	if got := [3]int64{int64(clicks.Orphan), int64(clicks.Late), int64(clicks.Duplicate)}; got != [3]int64{want.Orphan, want.Late, want.Duplicate} {
		t.Errorf("orphan, late, duplicate clicks = %v, want %v", got, want)
	}
	for _, v := range r.Feedback("search", 24*time.Hour, now) {
		w, c := want.Versions[v.Pool], v.Sources[0].CTR
		if c.Impressions != w.Impressions || c.Clicked != w.Clicked || !near(c.Rate, w.CTR) || !near(c.Interval[0], w.Wilson[0]) || !near(c.Interval[1], w.Wilson[1]) {
			t.Errorf("%s: %+v, want %+v", v.Pool, *c, w)
		}
		delete(want.Versions, v.Pool)
	}
	if len(want.Versions) > 0 {
		t.Error("no figures for", want.Versions)
	}
}

func TestWilsonIsThatOfTheReference(t *testing.T) {
	var want struct {
		Wilson []struct {
			Clicks, Impressions int64
			Lo, Hi              float64
		} `json:"wilson_95"`
	}
	readJSON(t, "wilson_expected.json", &want)
	for _, w := range want.Wilson {
		if lo, hi := Wilson(w.Clicks, w.Impressions); !near(lo, w.Lo) || !near(hi, w.Hi) {
			t.Errorf("Wilson(%d, %d) = %v, %v, want %v, %v", w.Clicks, w.Impressions, lo, hi, w.Lo, w.Hi)
		}
	}
}

func TestRedoneSearchesAreThoseOfTheReference(t *testing.T) {
	var want struct {
		Rows []int `json:"redo_row_numbers"`
	}
	readJSON(t, "redo_search_expected.json", &want)
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	var got []int
	row := 0
	var now time.Time
	for line := range lines(t, "redo_search.jsonl") {
		var e struct {
			TS          float64
			User, Query string
			Page        int
		}
		must(t, json.Unmarshal(line, &e))
		now = time.Unix(0, int64(math.Round(e.TS*1000))*1e6)
		before := count(l, FromRouter, RedoSearch)
		j.Served(l, []byte(strconv.Itoa(row)), now, j.Session(l, []byte(e.User)), []byte(e.Query), e.Page == 1)
		if count(l, FromRouter, RedoSearch) > before {
			got = append(got, row)
		}
		row++
	}
	if !slices.Equal(got, want.Rows) {
		t.Errorf("%d searches are another try, want %d; rows\n%v, want\n%v", len(got), len(want.Rows), got, want.Rows)
	}
}

func TestRedoneSearchIsChargedToTheVersionThatFailed(t *testing.T) {
	r := New()
	j, first, second := r.Joiner(), r.Ledger("search", "v1"), r.Ledger("search", "v2")
	session := j.Session(first, []byte("u-1"))
	j.Served(first, []byte("a"), noon, session, []byte("red Shoes"), true)
	j.Served(second, []byte("b"), noon.Add(time.Minute), session, []byte("red shoes cheap"), true)
	if got := [2]int64{count(first, FromRouter, RedoSearch), count(second, FromRouter, RedoSearch)}; got != [2]int64{1, 0} {
		t.Errorf("redone searches of v1, v2 = %v, want 1, 0", got)
	}
	j.Take(FromAdmin, []Feedback{{RequestID: "b", Event: Click}}, noon.Add(time.Minute))
	j.Served(first, []byte("c"), noon.Add(61*time.Second), session, []byte("red shoes cheap"), true)
	if n := count(second, FromRouter, RedoSearch); n != 0 {
		t.Error("a search counts as another try although a result of the one before was chosen")
	}
}

func TestQualityIsThatOfTheReference(t *testing.T) {
	var want struct {
		Windows []struct {
			Rows     [2]int
			Accuracy float64 `json:"accuracy_at_05"`
			AUC      float64
			LogLoss  float64 `json:"log_loss_clip1e_6"`
			Brier    float64
			ECE      float64 `json:"ece_10_equal_width"`
			MeanP    float64 `json:"mean_p"`
			BaseRate float64 `json:"base_rate"`
		}
	}
	readJSON(t, "feedback_expected.json", &want)
	file, err := os.Open("testdata/feedback/feedback.csv")
	must(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	must(t, err)
	for _, w := range want.Windows {
		l := New().Ledger("score", "v1")
		for _, row := range rows[1+w.Rows[0] : 1+w.Rows[1]] {
			p, err := strconv.ParseFloat(row[1], 64)
			must(t, err)
			l.judge(FromAdmin, &prediction{value: p}, row[2] == "1", noon)
		}
		q := l.summary(FromAdmin, noon).Quality
		f := func(name string, got, want float64) {
			t.Helper()
			if !near(got, want) {
				t.Errorf("rows %v: %s = %v, want %v", w.Rows, name, got, want)
			}
		}
		f("accuracy", q.Accuracy, w.Accuracy)
		f("AUC", *q.AUC, w.AUC)
		f("log-loss", *q.LogLoss, w.LogLoss)
		f("Brier", *q.Brier, w.Brier)
		f("ECE", *q.ECE, w.ECE)
		f("mean p", *q.MeanP, w.MeanP)
		f("base rate", *q.BaseRate, w.BaseRate)
	}
}

func TestLabelsOfManyClasses(t *testing.T) {
	f := func(p prediction, label any, right bool, logLoss, brier float64) {
		t.Helper()
		s, ok := p.scoreOf(label)
		same := func(got, want float64) bool { return near(got, want) || math.IsNaN(got) && math.IsNaN(want) }
		if !ok || s.right != right || !same(s.logLoss, logLoss) || !same(s.brier, brier) {
			t.Errorf("%+v, label %v: %+v %v, want right=%v log-loss=%v Brier=%v", p, label, s, ok, right, logLoss, brier)
		}
	}
	nan := math.NaN()
	f(prediction{value: nan, probs: []float64{.2, .5, .3}}, 1.0, true, -math.Log(.5), .04+.25+.09)
	f(prediction{value: nan, probs: []float64{.2, .5, .3}}, 2.0, false, -math.Log(.3), .04+.25+.49)
	f(prediction{value: nan, probs: []float64{.2, .8}}, true, true, -math.Log(.8), .04)
	f(prediction{value: nan, class: "cat"}, "cat", true, nan, nan)
	f(prediction{value: nan, class: "cat"}, "dog", false, nan, nan)
	f(prediction{value: nan, class: "3"}, 3.0, true, nan, nan)
	f(prediction{value: 7}, 7.0, true, nan, nan)
	f(prediction{value: 1.5}, 1.0, false, nan, nan)
	if s, ok := (&prediction{value: 2.5}).scoreOf("cat"); ok {
		t.Errorf("a number was held against a word: %+v", s)
	}
}

func TestReceipts(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	j.Configure(FeedbackSettings{Keys: [][]byte{[]byte("the old key, 32 bytes of secrets")}, Window: time.Hour, Remember: 1000})
	old := string(j.AppendReceipt(nil, l, []byte("request-1"), noon))
	j.Configure(FeedbackSettings{Keys: [][]byte{[]byte("the new key"), []byte("the old key, 32 bytes of secrets")}, Window: time.Hour, Remember: 1000})
	fresh := string(j.AppendReceipt(nil, l, []byte("request-2"), noon))
	want := FeedbackTally{Accepted: 2}
	if got := j.Take(FromData, []Feedback{{Receipt: old, Event: Click}, {Receipt: fresh, Event: Click}}, noon); got != want {
		t.Errorf("receipts of both keys: %+v, want %+v", got, want)
	}
	for i := range old {
		forged := []byte(old)
		forged[i] ^= 1
		if got, ok := j.seals.read(string(forged)); ok {
			t.Fatalf("a receipt whose byte %d was changed is believed: %+v", i, got)
		}
	}
	for _, cut := range []string{"", "x", old[:10], old[:len(old)-1], strings.Repeat("A", 5000)} {
		if _, ok := j.seals.read(cut); ok {
			t.Errorf("%.20q is believed", cut)
		}
	}
	j.Configure(FeedbackSettings{Keys: [][]byte{[]byte("another key")}, Window: time.Hour, Remember: 1000})
	if _, ok := j.seals.read(old); ok {
		t.Error("a receipt is believed whose key is none any more")
	}
}

func TestReceiptCostsNoAllocation(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	buf, id := make([]byte, 0, 1024), []byte("0198c0de-0000-7000-8000-000000000000")
	got := testing.AllocsPerRun(100, func() { buf = j.AppendReceipt(buf[:0], l, id, noon) })
	if !raceDetector && got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

func TestFeedbackIsJoinedOnceAndInTime(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	j.Configure(FeedbackSettings{Window: time.Hour, Remember: 1000})
	j.Served(l, []byte("a"), noon, 0, nil, true)
	f := func(by FeedbackSource, entry Feedback, after time.Duration, want FeedbackTally) {
		t.Helper()
		if got := j.Take(by, []Feedback{entry}, noon.Add(after)); got != want {
			t.Errorf("%+v after %v: %+v, want %+v", entry, after, got, want)
		}
	}
	accepted, duplicate, late, orphan := FeedbackTally{Accepted: 1}, FeedbackTally{Duplicate: 1}, FeedbackTally{Late: 1}, FeedbackTally{Orphan: 1}
	f(FromData, Feedback{RequestID: "a", Event: Click, Row: 3}, time.Minute, accepted)
	f(FromData, Feedback{RequestID: "a", Event: Click}, time.Minute, duplicate)
	f(FromAdmin, Feedback{RequestID: "a", Event: Click}, time.Minute, accepted) // whatever the public says
	f(FromAdmin, Feedback{RequestID: "a", Event: Rejected, Row: 1}, time.Minute, accepted)
	f(FromAdmin, Feedback{RequestID: "a", Event: Rejected, Row: 255}, time.Minute, accepted)
	f(FromAdmin, Feedback{RequestID: "a", Event: Rejected, Row: 1}, time.Minute, duplicate)
	f(FromAdmin, Feedback{RequestID: "a", Event: Impression}, time.Minute, accepted) // overtaken by its click
	f(FromAdmin, Feedback{RequestID: "a", Event: Edited}, 61*time.Minute, late)
	f(FromAdmin, Feedback{RequestID: "a", Event: Edited, At: noon.Add(time.Minute)}, 61*time.Minute, accepted)
	f(FromData, Feedback{RequestID: "a", Event: Edited, At: noon.Add(time.Minute)}, 61*time.Minute, late) // the public's clock counts for nothing
	f(FromAdmin, Feedback{RequestID: "b", Event: Click}, 0, orphan)
	f(FromAdmin, Feedback{Receipt: "b", Event: Click}, 0, orphan)
	s := r.Feedback("search", 2*time.Hour, noon.Add(2*time.Hour))[0].Sources
	if s[0].CTR == nil || s[0].CTR.Clicked != 1 || s[0].StrayClicks != 0 || s[1].CTR != nil || s[1].StrayClicks != 1 {
		t.Errorf("the figures are %+v", s)
	}
	receipt := string(j.AppendReceipt(nil, l, []byte("c"), noon))
	r.CloseLedger("search", "v1")
	f(FromAdmin, Feedback{Receipt: receipt, Event: Click}, 0, orphan)
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	j.Configure(FeedbackSettings{Window: time.Hour, Remember: 160})
	for i := range 10_000 {
		j.Served(l, fmt.Append(nil, i), noon, 0, nil, true)
	}
	known := 0
	for i := range j.served.shards {
		s := &j.served.shards[i]
		known += len(s.index)
		if len(s.ring) != 10 || len(s.index) != 10 {
			t.Errorf("shard %d holds %d exchanges and knows %d, want 10", i, len(s.ring), len(s.index))
		}
	}
	if known != 160 {
		t.Errorf("%d are known, want 160", known)
	}
	if got := j.Take(FromAdmin, []Feedback{{RequestID: "9999", Event: Click}, {RequestID: "0", Event: Click}}, noon); got != (FeedbackTally{Accepted: 1, Orphan: 1}) {
		t.Errorf("the newest and the oldest: %+v", got)
	}
	j.Configure(FeedbackSettings{Window: time.Hour, Remember: 16})
	for i := range 1000 {
		j.Served(l, fmt.Append(nil, "x", i), noon, 0, nil, true)
	}
	for i := range j.served.shards {
		if s := &j.served.shards[i]; len(s.ring) != 1 || len(s.index) != 1 {
			t.Errorf("shard %d holds %d and knows %d after it was to shrink to 1", i, len(s.ring), len(s.index))
		}
	}
	var all sessions
	for i := range 2 * mostSessions {
		all.search(uint64(i+1), []byte("q"), true, noon.UnixNano(), l)
	}
	if len(all.ring) != mostSessions || len(all.index) != mostSessions {
		t.Errorf("%d sessions are kept and %d known, want %d", len(all.ring), len(all.index), mostSessions)
	}
}

func TestReadFeedback(t *testing.T) {
	one := Feedback{RequestID: "a", Event: Click}
	f := func(body string, want ...Feedback) {
		t.Helper()
		got, invalid, faults, err := ReadFeedback([]byte(body))
		if err != nil || invalid != 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %d invalid (%v), %v, want %+v", body, got, invalid, faults, err, want)
		}
	}
	f(`{"request_id":"a","event":"click"}`, one)
	f("{\n \"request_id\": \"a\",\n \"event\": \"click\"\n}\n", one)
	f(`[{"request_id":"a","event":"click"},{"request_id":"a","event":"click"}]`, one, one)
	f("{\"request_id\":\"a\",\"event\":\"click\"}\r\n\n{\"request_id\":\"a\",\"event\":\"click\"}", one, one)
	f(`[]`)
	f(`{"receipt":"r","row":2,"event":"label","value":"cat","ts":1700000000.5}`,
		Feedback{Receipt: "r", Row: 2, Event: Label, Value: "cat", At: time.Unix(1700000000, 5e8)})
	f(`{"receipt":"r","event":"reward","value":-1,"ts":1700000000500}`, Feedback{Receipt: "r", Event: Reward, Value: -1.0, At: time.Unix(1700000000, 5e8)})
	f(`{"receipt":"r","event":"accepted","ts":"2023-11-14T22:13:20Z","ts_note":1}`, Feedback{Receipt: "r", Event: Accepted, At: time.Unix(1700000000, 0).UTC()})
}

func TestFeedbackOfTheWrongFormIsSaid(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		list, invalid, faults, err := ReadFeedback([]byte(body))
		if err != nil {
			faults = []string{err.Error()}
		}
		if len(list) > 0 || len(faults) != 1 || !strings.Contains(faults[0], want) || err == nil && invalid != 1 {
			t.Errorf("%s: %v, %d invalid, %v, %v, want %q", body, list, invalid, faults, err, want)
		}
	}
	f(``, "empty")
	f(`click`, "no feedback")
	f(`[{"event":"click"}`, "no JSON")
	f(`{"event":"click"}`, "names no exchange")
	f(`{"request_id":"a"}`, "event is \"\"; one of impression, click")
	f(`{"request_id":"a","event":"Click"}`, "one of impression")
	f(`{"request_id":"a","event":"click","row":256}`, "row is 256; 0 to 255")
	f(`{"request_id":"a","event":"click","row":-1}`, "row is -1")
	f(`{"request_id":"a","event":"click","row":"1"}`, "not of the right form")
	f(`{"request_id":"a","event":"label"}`, "label without value")
	f(`{"request_id":"a","event":"reward","value":"much"}`, "a reward is a number")
	f(`{"request_id":"a","event":"reward","value":-1e16}`, "a reward is -1e+16; -1e+15 to 1e+15")
	f(`{"request_id":"a","event":"click","value":{"a":1}}`, "object or a list")
	f(`{"request_id":"a","event":"click","ts":"yesterday"}`, "ts is no time")
	f(`{"request_id":"a","event":"click","ts":-5}`, "ts is no time")
	f(`{"request_id":"a","event":"click","ts":"1600-01-01T00:00:00Z"}`, "ts is no time")
	f(`[7]`, "not of the right form")
	f("["+strings.Repeat("{},", mostFeedback)+"{}]", "10000 at most")
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9 }

// count is how often a version's ledger has an event.
func count(l *Ledger, by FeedbackSource, event FeedbackEvent) (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.kept[by] {
		n += m.events[event]
	}
	return n
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("testdata/feedback/" + name)
	must(t, err)
	must(t, json.Unmarshal(text, into))
}

// lines are those of a file.
func lines(t *testing.T, name string) func(func([]byte) bool) {
	t.Helper()
	file, err := os.Open("testdata/feedback/" + name)
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return func(yield func([]byte) bool) {
		for s := bufio.NewScanner(file); s.Scan() && yield(s.Bytes()); {
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A label and the prediction that it is for meet whichever comes first.
func TestLabelsMeetPredictions(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("iris", "v1")
	said := &protocol.Facts{Outputs: []protocol.Output{{Class: "setosa"}, {HasValue: true, Value: .75}}}
	j.Served(l, []byte("a"), noon, 0, nil, true)
	j.Take(FromAdmin, []Feedback{{RequestID: "a", Event: Label, Value: "setosa"}}, noon)
	j.Learn(&Record{RequestID: []byte("a"), At: noon, Facts: said})
	j.Learn(&Record{RequestID: []byte("b"), At: noon, Facts: said}) // which nobody knows
	j.Take(FromAdmin, []Feedback{
		{RequestID: "a", Event: Label, Row: 1, Value: 1.0},
		{RequestID: "a", Event: Label, Row: 1, Value: 0.0},
		{RequestID: "a", Event: Label, Row: 2, Value: 1.0},
	}, noon)
	s := r.Feedback("iris", time.Hour, noon)[0].Sources[0]
	if q := s.Quality; q == nil || q.Labels != 2 || q.Accuracy != 1 || !near(*q.Brier, .0625) || s.UncomparableLabels != 1 || s.Duplicate != 1 {
		t.Errorf("%+v, %+v", s, q)
	}
	j.Take(FromData, []Feedback{{RequestID: "a", Event: Label, Value: "virginica"}}, noon)
	if got := r.Feedback("iris", time.Hour, noon)[0].Sources; got[0].Quality.Accuracy != 1 || got[1].Quality.Accuracy != 0 {
		t.Errorf("the public's labels are not kept apart: %+v", got)
	}
}

func TestQueryOfTheBodyIsASearch(t *testing.T) {
	r := New()
	j, l := r.Joiner(), r.Ledger("search", "v1")
	session := j.Session(l, []byte("u-1"))
	for i, query := range []string{"red shoes", "RED shoes", "blue hats"} {
		id := []byte{byte('a' + i)}
		j.Served(l, id, noon.Add(time.Duration(i)*time.Second), session, nil, true)
		j.Learn(&Record{RequestID: id, At: noon, Facts: &protocol.Facts{Query: []byte(query)}})
		j.Learn(&Record{RequestID: id, At: noon, Facts: &protocol.Facts{Query: []byte(query)}}) // once is enough
	}
	if n := count(l, FromRouter, RedoSearch); n != 1 {
		t.Errorf("%d redone searches, want 1", n)
	}
}
