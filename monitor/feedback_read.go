package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Feedback is one thing that was done with an answer.
type Feedback struct {
	// RequestID or Receipt name the exchange; a receipt has the last word.
	RequestID, Receipt string
	// Row counts the examples of a request from 0.
	Row   int
	Event FeedbackEvent
	// Value is a float64, a string, a bool or nil.
	Value any
	// At is when it was done, as far as its sender says so; else zero.
	At time.Time
}

const (
	mostFeedback = 10_000 // of one body
	mostRows     = 256    // of one exchange that feedback can speak of
	mostFaults   = 10     // that are said of one body
	longestText  = 1024   // bytes of a value
	mostReward   = 1e15   // either way; the sum of all rewards stays a number
)

// ReadFeedback reads a JSON object, an array of objects, or one object a line. faults says what is wrong with the first entries that are
// not of the right form, invalid how many there are; they keep none of the others from counting. err is that nothing could be read.
func ReadFeedback(body []byte) (list []Feedback, invalid int, faults []string, err error) {
	entries, err := feedbackEntries(body)
	if err != nil {
		return nil, 0, nil, err
	}
	for i, entry := range entries {
		f, err := readFeedback(entry)
		if err == nil {
			list = append(list, f)
			continue
		}
		if invalid++; invalid <= mostFaults {
			faults = append(faults, fmt.Sprintf("entry %d: %v", i+1, err))
		}
	}
	return list, invalid, faults, nil
}

const rightFeedback = `an object such as {"request_id": "...", "event": "click"}, an array of them, or one a line`

func feedbackEntries(body []byte) (entries []json.RawMessage, err error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, errors.New("the body is empty; send " + rightFeedback)
	case body[0] == '[':
		if err := json.Unmarshal(body, &entries); err != nil {
			return nil, fmt.Errorf("the body is no JSON: %w; send %s", err, rightFeedback)
		}
	case body[0] != '{':
		return nil, errors.New("the body is no feedback; send " + rightFeedback)
	case json.Valid(body):
		entries = append(entries, body)
	default:
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				entries = append(entries, line)
			}
		}
	}
	if len(entries) > mostFeedback {
		return nil, fmt.Errorf("the body has %d entries; %d at most", len(entries), mostFeedback)
	}
	return entries, nil
}

func readFeedback(entry []byte) (f Feedback, err error) {
	var given struct {
		RequestID string          `json:"request_id"`
		Receipt   string          `json:"receipt"`
		Row       int             `json:"row"`
		Event     string          `json:"event"`
		Value     any             `json:"value"`
		TS        json.RawMessage `json:"ts"`
	}
	if err := json.Unmarshal(entry, &given); err != nil {
		return f, fmt.Errorf("not of the right form: %w", err)
	}
	event := slices.Index(feedbackEventNames[:], given.Event)
	switch {
	case given.RequestID == "" && given.Receipt == "":
		return f, errors.New("names no exchange; give request_id, the X-Request-ID of its answer, or receipt, its X-MLProxy-Receipt")
	case event < 0:
		return f, fmt.Errorf("event is %.40q; one of %s", given.Event, strings.Join(feedbackEventNames[:], ", "))
	case given.Row < 0 || given.Row >= mostRows:
		return f, fmt.Errorf("row is %d; 0 to %d", given.Row, mostRows-1)
	}
	f = Feedback{RequestID: given.RequestID, Receipt: given.Receipt, Row: given.Row, Event: FeedbackEvent(event), Value: given.Value}
	if f.At, err = readTS(given.TS); err != nil {
		return f, err
	}
	return f, f.checkValue()
}

// checkValue holds the value to what its event needs.
func (f *Feedback) checkValue() error {
	switch v := f.Value.(type) {
	case nil:
		if f.Event == Label {
			return errors.New("a label without value; give what the answer should have been")
		}
	case string:
		if len(v) > longestText {
			return fmt.Errorf("value has %d bytes; %d at most", len(v), longestText)
		}
	case float64, bool:
	default:
		return errors.New("value is an object or a list; give a number, a text, true or false")
	}
	switch reward, number := f.Value.(float64); {
	case f.Event != Reward:
		return nil
	case !number:
		return errors.New("a reward is a number; give it in value")
	case math.Abs(reward) > mostReward:
		return fmt.Errorf("a reward is %g; -%g to %g", reward, mostReward, mostReward)
	}
	return nil
}

// readTS reads seconds or milliseconds since 1970, or a time of RFC 3339 since then; the zero time when there is none.
func readTS(raw json.RawMessage) (time.Time, error) {
	const right = "ts is no time; give seconds or milliseconds since 1970, or RFC 3339"
	if len(raw) == 0 || string(raw) == "null" {
		return time.Time{}, nil
	}
	if raw[0] == '"' {
		t, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(raw))
		if err != nil || t.Unix() < 0 { // what is long before has no nanoseconds since then
			return time.Time{}, errors.New(right)
		}
		return t, nil
	}
	var n float64
	if err := json.Unmarshal(raw, &n); err != nil || n <= 0 || n > 1e14 {
		return time.Time{}, errors.New(right)
	}
	if n > 1e11 { // the year 5138 in seconds
		n /= 1e3
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}
