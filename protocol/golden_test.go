package protocol

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

var rewrite = flag.Bool("rewrite", false, "write the facts of testdata/*/*.txt anew; read the change before you believe it")

// golden is an exchange of testdata/PROTOCOL: the head and body of a request and of its answer, and the facts expected. Its
// file has three parts, divided by lines of "====". A body is as it stands, but that "\x00" is a byte in hexadecimal where the head
// says "Written: escaped". An optional head "Options: {..}" of the request holds the protocol's own keys, as JSON.
type golden struct {
	name            string
	asked, answered Message
	options         string
	want            string
}

func goldens(t testing.TB, protocol string) (all []golden) {
	t.Helper()
	files, _ := filepath.Glob("testdata/" + protocol + "/*.txt")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(raw), "\n====\n")
		if len(parts) != 3 {
			t.Fatalf("%s: %d parts, want 3", file, len(parts))
		}
		g := golden{name: strings.TrimSuffix(filepath.Base(file), ".txt"), want: parts[2]}
		var first string
		first, g.options, g.asked = message1(t, parts[0])
		_, g.asked.Path, _ = strings.Cut(first, " ")
		first, _, g.answered = message1(t, parts[1])
		if g.answered.Status, err = strconv.Atoi(first); err != nil {
			t.Fatal(err)
		}
		g.answered.Path = g.asked.Path
		all = append(all, g)
	}
	return all
}

// message1 reads a first line, headers, and a body.
func message1(t testing.TB, part string) (first, options string, m Message) {
	head, body, _ := strings.Cut(part, "\n\n")
	first, rest, _ := strings.Cut(head, "\n")
	headers := map[string]string{}
	for h := range strings.SplitSeq(rest, "\n") {
		name, value, _ := strings.Cut(h, ": ")
		headers[name] = value
	}
	m = Message{ContentType: headers["Content-Type"], Encoding: headers["Content-Encoding"], Body: []byte(body), Cut: headers["Cut"] == "true"}
	m.Header = func(name string) string { return headers[name] }
	if headers["Written"] == "escaped" {
		m.Body = unhex(t, body)
	}
	return first, headers["Options"], m
}

// unhex undoes \xNN and drops line ends, so that a body may be written in several lines.
func unhex(t testing.TB, s string) (b []byte) {
	s = strings.ReplaceAll(s, "\n", "")
	for {
		before, after, found := strings.Cut(s, `\x`)
		b = append(b, before...)
		if !found {
			return b
		}
		one, err := hex.DecodeString(after[:2])
		if err != nil {
			t.Fatal(err)
		}
		b, s = append(b, one...), after[2:]
	}
}

func (g *golden) adapter(t testing.TB, protocol string) Adapter {
	t.Helper()
	a, err := New(protocol, extraction(t, g.options))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// extraction reads the route's extract section, written as JSON; an empty one is nil.
func extraction(t testing.TB, section string) *Extract {
	t.Helper()
	if section == "" {
		return nil
	}
	x := new(Extract)
	if err := strictly(section, x); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestGolden(t *testing.T) {
	for _, protocol := range []string{"open_inference", "tf_serving", "mlflow", "torchserve", "json"} {
		all := goldens(t, protocol)
		if len(all) < 8 {
			t.Errorf("%d exchanges in testdata/%s, want at least 8", len(all), protocol)
		}
		for _, g := range all {
			t.Run(protocol+"/"+g.name, func(t *testing.T) {
				var f Facts
				a := g.adapter(t, protocol)
				a.Request(&g.asked, &f)
				a.Response(&g.answered, &f)
				got := told(&f)
				if *rewrite {
					file := "testdata/" + protocol + "/" + g.name + ".txt"
					raw, _ := os.ReadFile(file)
					at := bytes.LastIndex(raw, []byte("\n====\n"))
					if err := os.WriteFile(file, append(raw[:at+6:at+6], got...), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if diff := cmp.Diff(g.want, got); diff != "" {
					t.Errorf("facts (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// told is what is not nothing among the facts, a line each.
func told(f *Facts) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if f.Model != "" || f.Version != "" || f.ID != "" {
		line("asked: model %q, version %q, id %q", f.Model, f.Version, f.ID)
	}
	line("rows: %d, %d of them with missing values", f.Rows, f.RowsMissing)
	line("values: %d, %d of them missing, %d infinite", f.Values, f.ValuesMissing, f.NonFinite)
	for _, g := range f.Features {
		line("feature %s: %d values, %d missing, %d numbers of sum %.6g, %d chars", g.Name, g.Values, g.Missing, g.Numbers, g.Sum, g.Chars)
	}
	for _, l := range f.Lengths {
		line("length: %d %s", l.N, l.Kind)
	}
	for _, i := range f.Images {
		line("image: %d x %d, brightness %.3f, known %t", i.Width, i.Height, i.Brightness, i.Known)
	}
	for _, a := range f.Audio {
		line("audio: %.2f dBFS, %.3f s", a.DBFS, a.Seconds)
	}
	if f.Query != nil {
		line("query: %q", f.Query)
	}
	if f.ServedModel != "" || f.ServedVersion != "" {
		line("served: model %q, version %q", f.ServedModel, f.ServedVersion)
	}
	for i := range f.Outputs {
		line("output: %s", f.Outputs[i].told())
	}
	for r, n := range f.OutputsMissing {
		if n > 0 {
			line("missing: %d %s", n, MissingReason(r))
		}
	}
	for r, n := range f.Faults {
		if n > 0 {
			line("fault: %d %s", n, ExtractReason(r))
		}
	}
	return b.String()
}

func (o *Output) told() string {
	s := []string{}
	add := func(on bool, format string, args ...any) {
		if on {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	add(o.Class != "", "class %q", o.Class)
	add(o.HasValue, "value %.6g", o.Value)
	add(len(o.Text) > 0, "text %q", o.Text)
	add(len(o.Probs) > 0, "numbers %.4g", o.Probs)
	add(o.ConfidenceKind != NoConfidence, "confidence %.4g %s", o.Confidence, o.ConfidenceKind)
	add(o.Missing != MissingNone, "missing %s", o.Missing)
	return strings.Join(s, ", ")
}

// strictly decodes JSON, which is YAML too, and refuses unknown keys.
func strictly(from string, dst any) error {
	d := yaml.NewDecoder(strings.NewReader(from))
	d.KnownFields(true)
	return d.Decode(dst)
}
