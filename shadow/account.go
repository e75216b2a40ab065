package shadow

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
)

// mostClasses bounds the confusion table; further classes are one.
const mostClasses = 32

// account is what a shadow's comparisons found. It outlives tables, as long as what is compared stays the same.
type account struct {
	criteria criteria
	keep     int // disagreements

	mu        sync.Mutex
	since     time.Time
	copies    [monitor.Failed + 1]int64
	rows      rate
	noise     [monitor.Failed + 1]int64
	noiseRows rate
	errors    map[string]int64
	fields    map[string]rate
	classes   map[string]bool
	confusion map[pair]int64
	live      latencies
	shadow    latencies
	worst     []Disagreement // the worst first

	waiting waiting
}

// accountOf is the account of a shadow; nil when nothing was compared yet.
func accountOf(s *router.Shadow) *account {
	a, _ := s.Kept.Load().(*account)
	return a
}

// open is the account of a shadow, made when it is new.
func open(s *router.Shadow) *account {
	if a := accountOf(s); a != nil {
		return a
	}
	c := &s.Config.Compare
	a := &account{criteria: newCriteria(s), keep: c.Keep}
	a.forget()
	if !s.Kept.CompareAndSwap(nil, a) {
		return accountOf(s)
	}
	return a
}

// forget begins anew.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Now()
	a.copies, a.noise = [monitor.Failed + 1]int64{}, [monitor.Failed + 1]int64{}
	a.rows, a.noiseRows = rate{}, rate{}
	a.errors, a.fields = map[string]int64{}, map[string]rate{}
	a.classes, a.confusion = map[string]bool{}, map[pair]int64{}
	a.live, a.shadow = latencies{}, latencies{}
	a.worst = nil
}

// took notes how long both took for one request.
func (a *account) took(live, shadow time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live.add(live)
	a.shadow.add(shadow)
}

// failed notes that there was nothing to compare.
func (a *account) failed(why monitor.Uncompared) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.copies[monitor.Failed]++
	a.errors[why.String()]++
}

// add notes what comparing two answers found.
func (a *account) add(f *finding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.copies[f.result]++
	a.rows.compared += int64(len(f.rows))
	a.rows.differed += int64(f.differing())
	for name, r := range f.fields {
		a.addField(name, r)
	}
	for _, p := range f.pairs {
		a.confusion[pair{a.class(p.live), a.class(p.shadow)}]++
	}
}

// addNoise notes what comparing the live pool's second answer with its first found.
func (a *account) addNoise(f *finding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noise[f.result]++
	if f.result != monitor.Failed {
		a.noiseRows.compared += int64(len(f.rows))
		a.noiseRows.differed += int64(f.differing())
	}
}

func (a *account) addField(name string, r rate) {
	if _, known := a.fields[name]; !known && len(a.fields) >= mostFields {
		name = beyond
	}
	sum := a.fields[name]
	sum.compared += r.compared
	sum.differed += r.differed
	a.fields[name] = sum
}

// class is the class, or what stands for all those that there is no room for.
func (a *account) class(name string) string {
	if !a.classes[name] {
		if len(a.classes) >= mostClasses {
			return beyond
		}
		a.classes[name] = true
	}
	return name
}

// wants says whether a disagreement as bad as that would be kept. Of equally bad ones the later is.
func (a *account) wants(severity float64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keep > 0 && (len(a.worst) < a.keep || severity >= a.worst[len(a.worst)-1].Severity)
}

// put keeps a disagreement in the place of the least bad, and of several of these the oldest.
func (a *account) put(d *Disagreement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.worst = append(a.worst, *d)
	slices.SortStableFunc(a.worst, func(x, y Disagreement) int {
		return cmp.Or(cmp.Compare(y.Severity, x.Severity), y.Time.Compare(x.Time))
	})
	a.worst = a.worst[:min(len(a.worst), a.keep)]
}
