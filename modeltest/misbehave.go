package modeltest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan is the trouble one exchange gets into. The zero value is good behaviour.
type plan struct {
	delay  time.Duration // before the head
	gap    time.Duration // between the events of a stream; overrides Options.TokenGap
	drip   time.Duration // between single bytes of the body
	head   time.Duration // between single bytes of the head
	status int
	size   int64 // the body is this many bytes of filling
	every  int   // of a server's trouble: only every n-th request gets it

	hang     string // head: never answers | body: stops in the middle of the body
	reset    string // head: RST instead of an answer | body: RST in the middle of the body
	truncate string // length: fewer bytes than Content-Length says | chunked: no last chunk | all: no byte of it
	close    string // header: with "Connection: close" | silent: without saying so | early: instead of an answer
	flood    bool   // a body without end
	garbage  bool   // bytes that are not HTTP
	early    bool   // answers without reading the request's body
	health   bool   // health checks get it too
	post     bool   // of a server's trouble: only POSTs get it
}

// words of the X-Modeltest header, comma-separated. A word of which the value may be left out means the value given first.
var words = map[string]func(*plan, string) error{
	"delay":    duration(func(p *plan) *time.Duration { return &p.delay }),
	"gap":      duration(func(p *plan) *time.Duration { return &p.gap }),
	"drip":     duration(func(p *plan) *time.Duration { return &p.drip }),
	"head":     duration(func(p *plan) *time.Duration { return &p.head }),
	"status":   number(func(p *plan, n int64) { p.status = int(n) }, 200, 599),
	"size":     number(func(p *plan, n int64) { p.size = n }, 1, 1<<40),
	"every":    number(func(p *plan, n int64) { p.every = int(n) }, 1, 1<<30),
	"hang":     oneOf(func(p *plan) *string { return &p.hang }, "head", "body"),
	"reset":    oneOf(func(p *plan) *string { return &p.reset }, "head", "body"),
	"truncate": oneOf(func(p *plan) *string { return &p.truncate }, "length", "chunked", "all"),
	"close":    oneOf(func(p *plan) *string { return &p.close }, "header", "silent", "early"),
	"flood":    flag(func(p *plan) *bool { return &p.flood }),
	"garbage":  flag(func(p *plan) *bool { return &p.garbage }),
	"early":    flag(func(p *plan) *bool { return &p.early }),
	"health":   flag(func(p *plan) *bool { return &p.health }),
	"post":     flag(func(p *plan) *bool { return &p.post }),
}

func parsePlan(text string) (*plan, error) {
	p := &plan{}
	for word := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		if name == "" {
			continue
		}
		set, known := words[name]
		if !known {
			return nil, fmt.Errorf("X-Modeltest: unknown word %q; known are %s", name, strings.Join(slices.Sorted(maps.Keys(words)), ", "))
		}
		if err := set(p, value); err != nil {
			return nil, fmt.Errorf("X-Modeltest: %s=%s: %w", name, value, err)
		}
	}
	return p, nil
}

func duration(field func(*plan) *time.Duration) func(*plan, string) error {
	return func(p *plan, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("a duration such as 50ms is needed")
		}
		*field(p) = d
		return nil
	}
}

func number(set func(*plan, int64), least, most int64) func(*plan, string) error {
	return func(p *plan, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < least || n > most {
			return fmt.Errorf("a number from %d to %d is needed", least, most)
		}
		set(p, n)
		return nil
	}
}

func oneOf(field func(*plan) *string, values ...string) func(*plan, string) error {
	return func(p *plan, value string) error {
		if value == "" {
			value = values[0]
		}
		if !slices.Contains(values, value) {
			return fmt.Errorf("one of %s is needed", strings.Join(values, ", "))
		}
		*field(p) = value
		return nil
	}
}

func flag(field func(*plan) *bool) func(*plan, string) error {
	return func(p *plan, value string) error {
		if value != "" {
			return fmt.Errorf("this word takes no value")
		}
		*field(p) = true
		return nil
	}
}

// cuts says whether the body is to stop in its middle.
func (p *plan) cuts() bool { return p.hang == "body" || p.reset == "body" || p.truncate != "" }

// instead says whether the peer gets no answer at all, only trouble.
func (p *plan) instead() bool { return p.reset == "head" || p.close == "early" || p.garbage }

// raw says whether net/http's server cannot do this for us: it would close chunks, keep counts right and say when it closes.
func (p *plan) raw() bool {
	return p.instead() || p.reset == "body" || p.truncate != "" || p.close == "silent" || p.head > 0
}

// breaks says whether the exchange ends by our own fault.
func (p *plan) breaks() bool { return p.instead() || p.reset != "" || p.truncate != "" }
