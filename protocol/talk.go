package protocol

import (
	"math"
	"unicode/utf8"
)

// talk is what a language model's answer says, be it whole or in events.
type talk struct {
	id, model, version string
	tokens             Tokens
	spoken             int // tokens as counted from events: one for every choice of an event
	choices            []choice
	faults             [ExtractReasons]int
	failure            ErrorKind // of an answer or event that is an error
	doc                document  // of an event
	names              interned

	// Of the document read last.
	heard    bool // it carries a token
	last     int  // index of the choice that had the last one
	answered bool // it carries one of the answer or of a call of a tool, not only of reasoning
}

func (t *talk) reset() {
	const ordinary = 1 << 16 // values of a document
	if cap(t.doc.nodes) > ordinary {
		t.doc = document{}
	}
	*t = talk{choices: t.choices[:0], doc: t.doc, names: t.names}
}

// fault notes that something could not be read.
func (t *talk) fault(reason ExtractReason) { t.faults[reason]++ }

// choice is the one of that index; nil when there are more than are followed.
func (t *talk) choice(index int) *choice {
	if index < 0 || index >= maxChoices {
		t.fault(TooLarge)
		return nil
	}
	for len(t.choices) <= index {
		if n := len(t.choices); n < cap(t.choices) {
			t.choices = t.choices[:n+1]
		} else {
			t.choices = append(t.choices, choice{})
		}
		c := &t.choices[len(t.choices)-1]
		*c = choice{index: len(t.choices) - 1, text: c.text[:0]}
	}
	return &t.choices[index]
}

// report adds what concerns all choices.
func (t *talk) report(f *Facts) {
	if t.id != "" {
		f.ID = t.id
	}
	if t.model != "" {
		f.ServedModel = t.model
	}
	if t.version != "" {
		f.ServedVersion = t.version
	}
	f.Error = t.failure
	f.Tokens = t.tokens
	for reason, n := range t.faults {
		f.Faults[reason] += n
	}
}

// choice is one of the texts that a language model answers with.
type choice struct {
	index    int
	text     []byte // at most 4 KiB
	answered bool   // a text, a call of a tool, or a refusal was given
	finish   string // why the model stopped; empty as long as it has not
	logprobs logprobs
}

// appendText unescapes t into to, which it lets grow to at most limit bytes and ends with a whole code point.
func appendText(to []byte, t text, limit int) []byte {
	if len(to) >= limit {
		return to
	}
	if !t.escaped {
		to = append(to, t.raw[:min(len(t.raw), limit+utf8.UTFMax-len(to))]...)
	} else {
		to = t.appendTo(to)
	}
	if len(to) <= limit {
		return to
	}
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(to[end]) {
		end--
	}
	return to[:end]
}

// logprobs are the log probabilities of the tokens of one text, summed up.
type logprobs struct {
	sum float64
	n   int
}

// unsaid stands in place of a log probability that the model server has not: of the first token of an echoed prompt, or of a token outside
// of those it kept.
const unsaid = -9999

func (l *logprobs) add(v float64) {
	if v > unsaid && v <= 0 {
		l.sum += v
		l.n++
	}
}

// confidence is the probability of the mean token.
func (l *logprobs) confidence() (p float64, known bool) {
	if l.n == 0 {
		return 0, false
	}
	return math.Exp(l.sum / float64(l.n)), true
}

// answers is how many texts the request asked for; at least one.
func (f *Facts) answers() int { return max(f.Rows, 1) * max(f.choices, 1) }

// addChoice notes one text as an output.
func (f *Facts) addChoice(c *choice, missing MissingReason) {
	if c.finish != "" && len(f.Finish) < maxChoices {
		f.Finish = append(f.Finish, c.finish)
	}
	o := f.output()
	o.miss(missing)
	f.settle(o)
	o.Text = append(o.Text, c.text...)
	if p, known := c.logprobs.confidence(); known {
		o.Confidence, o.ConfidenceKind = p, LogProb
	}
}

// word is a string as a name; what was known before stays when v is none.
func (t *talk) word(v value, known string) string {
	b := v.text()
	if len(b) == 0 || string(b) == known {
		return known
	}
	return t.names.intern(b)
}

// numberOf is the number of the first of the members that is one; 0 when none is.
func numberOf(v value, names ...string) int {
	for _, name := range names {
		if n, ok := v.member(name).integer(); ok && n >= 0 {
			return n
		}
	}
	return 0
}

// runes counts the code points of a string.
func runes(v value) int { return utf8.RuneCount(v.text()) }

func (v value) says(want string) bool { return v.isString() && v.written().equal(want) }

func (v value) isTrue() bool { return v.kind() == truth && v.raw()[0] == 't' }
