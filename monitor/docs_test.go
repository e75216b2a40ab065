package monitor

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mlproxy/protocol"

	dto "github.com/prometheus/client_model/go"
)

// docs/metrics.md and the code say the same: every metric with its type and labels, every word a label may hold.
func TestDocsListEveryMetric(t *testing.T) {
	r := New()
	exercise(r)
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), namespace) {
			code = append(code, describe(f))
		}
	}
	var docs []string
	row := regexp.MustCompile("(?m)^\\| `(mlproxy_\\w+)` \\| (\\w+) \\| ([^|]*?) *\\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(page(t), -1) {
		labels := strings.Fields(strings.NewReplacer("`", "", ",", "").Replace(m[3]))
		slices.Sort(labels)
		docs = append(docs, fmt.Sprintf("%s %s %v", m[1], m[2], labels))
	}
	same(t, "metrics", code, docs)
}

func TestDocsListEveryWord(t *testing.T) {
	f := func(section string, code []string) {
		t.Helper()
		_, rest, found := strings.Cut(page(t), "\n## "+section+"\n")
		if !found {
			t.Fatalf("docs/metrics.md has no section %q", section)
		}
		rest, _, _ = strings.Cut(rest, "\n## ")
		var docs []string
		for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(rest, -1) {
			docs = append(docs, m[1])
		}
		same(t, section, code, docs)
	}
	f("Reasons", words(reasons)[1:])
	f("Outcomes of a retry", words(retryOutcomes))
	f("What decides an assignment", words(bys))
	f("How a tunnel ends", words(tunnelEnds))
	f("Why a copy is dropped", words(dropReasons))
	f("Results of a comparison", words(results))
	f("Why answers are not compared", words(uncompareds))
	f("Why a connection is rejected", words(rejectReasons))
	f("What users do with answers", words(feedbackEvents))
	f("Where feedback comes from", words(feedbackSources))
	f("Why feedback is not counted", words(feedbackLosses))
	f("Why an output is missing", words(protocol.MissingReasons)[1:])
	f("Why something could not be read", words(protocol.ExtractReasons))
	f("How a stream ends", words(protocol.StreamOutcomes))
	f("Why an exchange is not inspected", words(inspectDrops))
}

// words are the names of all values of an enumeration that ends at end.
func words[E interface {
	~uint8
	String() string
}](end E) (names []string) {
	for e := range end {
		names = append(names, e.String())
	}
	return names
}

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func describe(f *dto.MetricFamily) string {
	var labels []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, l.GetName())
	}
	slices.Sort(labels)
	return fmt.Sprintf("%s %s %v", f.GetName(), strings.ToLower(f.GetType().String()), labels)
}

// same fails for each entry that only one of the two has, and for an empty name or one that is there twice.
func same(t *testing.T, what string, code, docs []string) {
	t.Helper()
	for _, c := range code {
		if !slices.Contains(docs, c) {
			t.Errorf("%s: docs/metrics.md does not list %q", what, c)
		}
	}
	for _, d := range docs {
		if !slices.Contains(code, d) {
			t.Errorf("%s: docs/metrics.md lists %q, which the code does not have", what, d)
		}
	}
	if len(code) != len(docs) {
		t.Errorf("%s: %d in the code, %d in the docs", what, len(code), len(docs))
	}
	if slices.Contains(code, "") {
		t.Errorf("%s: one has no name", what)
	}
}
