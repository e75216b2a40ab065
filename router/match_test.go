package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"mlproxy/config"
)

// matching is a table of routes that differ in what they match.
func matching(t testing.TB, matches map[string]config.Match) *Table {
	t.Helper()
	routes := map[string]*config.Route{}
	for name, m := range matches {
		routes[name] = &config.Route{Match: m, Split: config.Weights{"p": 1}}
	}
	return compile(t, desired(routes))
}

// request is "METHOD host/path name=value ... model=value".
type request struct {
	method, host, path, model string
	fields                    fields
}

func parse(s string) request {
	words := strings.Fields(s)
	host, path, _ := strings.Cut(words[1], "/")
	r := request{method: words[0], host: host, path: "/" + path, fields: fields{}}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		if name == "model" {
			r.model = value
		} else {
			r.fields[name] = []byte(value)
		}
	}
	return r
}

// ask is the name of the route for a request, "" when there is none, and whether the model had to be known.
func (t *Table) ask(r request) (name string, asked bool) {
	m := t.Match([]byte(r.host), []byte(r.method), []byte(r.path), r.fields)
	asked = m.NeedsModel
	route := m.Route
	if asked {
		route = m.Model([]byte(r.model))
	}
	if route == nil {
		return "", asked
	}
	return route.Name, asked
}

func TestMatchTakesTheMostSpecific(t *testing.T) {
	table := matching(t, map[string]config.Match{
		"any":           {Path: "/"},
		"v2":            {Path: "/v2/"},
		"iris":          {Path: "/v2/models/iris/"},
		"iris-infer":    {Path: "/v2/models/iris/infer"},
		"search":        {Path: "/search"},
		"host":          {Hosts: []string{"a.example.org", "b.example.org"}},
		"host-v2":       {Hosts: []string{"a.example.org"}, Path: "/v2/"},
		"wild":          {Hosts: []string{"*.example.org"}},
		"wild-search":   {Hosts: []string{"*.example.org"}, Path: "/search"},
		"wild-org":      {Hosts: []string{"*.org"}, Path: "/v2/"},
		"header":        {Path: "/h", Headers: map[string]string{"x-a": "1"}},
		"header-any":    {Path: "/h", Headers: map[string]string{"x-a": "*"}},
		"headers":       {Path: "/h", Headers: map[string]string{"x-a": "*", "x-b": "*"}},
		"header-get":    {Path: "/h", Headers: map[string]string{"x-a": "1"}, Methods: []string{"GET"}},
		"no-header":     {Path: "/h"},
		"get":           {Path: "/m", Methods: []string{"GET"}},
		"get-post":      {Path: "/m", Methods: []string{"GET", "POST"}},
		"method":        {Path: "/m"},
		"llama":         {Path: "/v1/chat", Model: "llama"},
		"mistral":       {Path: "/v1/chat", Model: "mistral"},
		"mistral-vip":   {Path: "/v1/chat", Model: "mistral", Headers: map[string]string{"x-vip": "1"}},
		"chat":          {Path: "/v1/chat"},
		"only-by-model": {Path: "/v1/", Model: "embed"},
	})
	f := func(asks, want string) {
		t.Helper()
		if got, _ := table.ask(parse(asks)); got != want {
			t.Errorf("%s: route %q; want %q", asks, got, want)
		}
	}
	// Paths.
	f("GET x/", "any")
	f("GET x/nothing", "any")
	f("GET x/v2", "any")
	f("GET x/v2/", "v2")
	f("GET x/v2/models/iri", "v2")
	f("GET x/v2/models/iris", "v2")
	f("GET x/v2/models/iris/", "iris")
	f("GET x/v2/models/iris/ready", "iris")
	f("GET x/v2/models/iris/infer", "iris-infer")
	f("GET x/v2/models/iris/infer/", "iris")
	f("GET x/v2/models/iris/infer?a=/b", "iris-infer")
	f("GET x/search?q=1", "search")
	f("GET x/search/", "any")
	f("GET x/Search", "any")
	f("GET x/v2/models/%69ris/infer", "v2")
	f("GET x/v2//models/iris/infer", "v2")
	// Hosts come before paths.
	f("GET a.example.org/search", "host")
	f("GET a.example.org/v2/models/iris/infer", "host-v2")
	f("GET b.example.org/v2/models/iris/infer", "host")
	f("GET c.example.org/v2/models/iris/infer", "wild")
	f("GET c.example.org/search", "wild-search")
	f("GET c.d.example.org/search", "wild-search")
	f("GET example.org/search", "search")
	f("GET example.org/v2/x", "wild-org")
	f("GET org/v2/x", "v2")
	f("GET .org/v2/x", "v2")
	f("GET A.Example.ORG:8080/v2/x", "host-v2")
	f("GET a.example.org./v2/x", "host-v2")
	f("GET a.example.org.:80/v2/x", "host-v2")
	f("GET C.EXAMPLE.ORG/search", "wild-search")
	f("GET [::1]:8080/search", "search")
	f("GET [::1]/search", "search")
	f("GET /search", "search")
	f("GET "+strings.Repeat("a", 300)+".example.org/search", "search")
	// Headers, and falling back when they do not hold.
	f("POST x/h", "no-header")
	f("POST x/h x-a=1", "header")
	f("GET x/h x-a=1", "header-get")
	f("GET x/h x-a=2", "header-any")
	f("GET x/h x-a=", "header-any")
	f("GET x/h x-b=2", "no-header")
	f("GET x/h x-a=1 x-b=2", "headers")
	// Methods.
	f("GET x/m", "get")
	f("POST x/m", "get-post")
	f("PUT x/m", "method")
	f("get x/m", "method")
	// Models.
	f("POST x/v1/chat model=llama", "llama")
	f("POST x/v1/chat model=mistral", "mistral")
	f("POST x/v1/chat model=mistral x-vip=1", "mistral-vip")
	f("POST x/v1/chat model=llama x-vip=1", "llama")
	f("POST x/v1/chat model=other", "chat")
	f("POST x/v1/chat", "chat")
	f("POST x/v1/embeddings model=embed", "only-by-model")
	f("POST x/v1/embeddings model=llama", "any")
	f("POST x/v1/embeddings", "any")
}

// What docs/routing.md says of its example.
func TestTheExamplesOfThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	cfg, err := config.Parse("routing.md", []byte(example), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	table := compile(t, cfg)
	f := func(asks, want string) {
		t.Helper()
		if got, _ := table.ask(parse(asks)); got != want {
			t.Errorf("%s: route %q; want %q", asks, got, want)
		}
	}
	f("POST x/v2/models/iris/infer", "iris-infer")
	f("POST x/v2/models/iris/infer x-debug=1", "iris-debug")
	f("GET x/v2/models/iris/infer", "iris")
	f("GET x/v2/models/iris", "models")
	f("POST x/v1/chat/completions model=llama-70b", "chat-large")
	f("POST x/v1/chat/completions model=llama-8b", "chat")
	f("POST a.partners.example.org/v2/models/iris/infer", "partners")
	f("GET x/favicon.ico", "everything")
}

func TestMatchFindsNothing(t *testing.T) {
	table := matching(t, map[string]config.Match{
		"get":   {Path: "/get", Methods: []string{"GET"}},
		"model": {Path: "/model", Model: "m"},
		"host":  {Hosts: []string{"a.org"}},
	})
	f := func(asks string) {
		t.Helper()
		if got, _ := table.ask(parse(asks)); got != "" {
			t.Errorf("%s: route %q; want none", asks, got)
		}
	}
	f("POST x/get")
	f("GET x/")
	f("POST x/model")
	f("POST x/model model=n")
	f("GET b.a.org/")
}

func TestMatchAsksForTheModelOnlyWhenItMatters(t *testing.T) {
	table := matching(t, map[string]config.Match{
		"vip":   {Path: "/chat", Headers: map[string]string{"x-vip": "*"}},
		"llama": {Path: "/chat", Model: "llama", Methods: []string{"POST"}},
		"chat":  {Path: "/chat"},
		"any":   {Path: "/", Model: "any"},
	})
	f := func(asks string, want bool) {
		t.Helper()
		if _, asked := table.ask(parse(asks)); asked != want {
			t.Errorf("%s: asked for the model: %t; want %t", asks, asked, want)
		}
	}
	f("POST x/chat", true)
	f("POST x/chat x-vip=1", false)
	f("GET x/chat", false)
	f("GET x/other", true)
}

func TestRoutesThatMatchTheSame(t *testing.T) {
	f := func(a, b config.Match, want string) {
		t.Helper()
		cfg := desired(map[string]*config.Route{
			"a": {Match: a, Split: config.Weights{"p": 1}}, "b": {Match: b, Split: config.Weights{"p": 1}},
		})
		_, err := Compile(cfg, nil) // a fault comes before anything is taken from the estate
		if got := strings.TrimPrefix(err.Error(), ": "); got != want {
			t.Errorf("%+v and %+v: %q; want %q", a, b, got, want)
		}
	}
	const same = "route b matches the same requests as route a; give one of them a further condition, or remove it"
	f(config.Match{Path: "/"}, config.Match{Path: "/"}, same)
	f(config.Match{}, config.Match{}, same)
	f(config.Match{Path: "/x", Model: "m"}, config.Match{Path: "/x", Model: "m"}, same)
	f(config.Match{Methods: []string{"GET", "POST"}}, config.Match{Methods: []string{"POST", "GET", "GET"}}, same)
	f(config.Match{Headers: map[string]string{"a": "1", "b": "2"}}, config.Match{Headers: map[string]string{"b": "2", "a": "1"}}, same)
	f(config.Match{Hosts: []string{"x", "y"}}, config.Match{Hosts: []string{"y", "z"}}, same)
	f(config.Match{Hosts: []string{"*.x"}}, config.Match{Hosts: []string{"*.x", "*.x"}}, same)
}

func TestRoutesThatMatchDifferently(t *testing.T) {
	f := func(a, b config.Match) {
		t.Helper()
		matching(t, map[string]config.Match{"a": a, "b": b})
	}
	f(config.Match{Path: "/x"}, config.Match{Path: "/x/"})
	f(config.Match{Path: "/x", Model: "m"}, config.Match{Path: "/x", Model: "n"})
	f(config.Match{Path: "/x", Model: "m"}, config.Match{Path: "/x"})
	f(config.Match{Methods: []string{"GET", "POST"}}, config.Match{Methods: []string{"GET", "PUT"}})
	f(config.Match{Headers: map[string]string{"a": "1"}}, config.Match{Headers: map[string]string{"a": "*"}})
	f(config.Match{Headers: map[string]string{"a": "1"}}, config.Match{Headers: map[string]string{"b": "1"}})
	f(config.Match{Hosts: []string{"x.y"}}, config.Match{Hosts: []string{"*.y"}})
	f(config.Match{Hosts: []string{"x", "x"}}, config.Match{Hosts: []string{"y"}})
}

// Equally specific routes that may both hold are told apart by their names.
func TestOverlapIsDecidedByName(t *testing.T) {
	table := matching(t, map[string]config.Match{
		"b": {Headers: map[string]string{"x-a": "1"}}, "a": {Headers: map[string]string{"x-b": "1"}},
	})
	if got, _ := table.ask(parse("GET x/ x-a=1 x-b=1")); got != "a" {
		t.Errorf("route %q; want a", got)
	}
}

// The index finds what trying every route would.
func TestMatchIsWhatTryingAllWouldFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	hosts := []string{"a.b.c", "b.c", "x.b.c", "c", "*.b.c", "*.c", "*.a.b.c"}
	paths := []string{"", "/", "/v1/", "/v1/a", "/v1/a/", "/v1/a/b", "/v1/a/b/", "/v2/"}
	routes := func() map[string]config.Match {
		all := map[string]config.Match{}
		for i := range 40 {
			m := config.Match{Path: one(paths...), Model: one("", "", "m", "n")}
			if random.IntN(2) == 0 {
				m.Hosts = []string{one(hosts...)}
			}
			if random.IntN(3) == 0 {
				m.Methods = [][]string{{"GET"}, {"POST"}, {"GET", "POST"}}[random.IntN(3)]
			}
			if random.IntN(3) == 0 {
				m.Headers = map[string]string{one("p", "q"): one("1", "*")}
			}
			if !slices.ContainsFunc(values(all), func(o config.Match) bool { return fmt.Sprint(o) == fmt.Sprint(m) }) {
				all[fmt.Sprintf("r%02d", i)] = m
			}
		}
		return all
	}
	for range 50 {
		matches := routes()
		table := matching(t, matches)
		for range 200 {
			r := parse(one("GET", "POST", "PUT") + " " + one("a.b.c", "y.b.c", "b.c", "z.c", "c", "q.a.b.c", "d") +
				one("/", "/v1/", "/v1/a", "/v1/a/", "/v1/a/b", "/v1/a/b/c", "/v2/x", "/v3") + one("", " p=1", " p=2", " q=1", " p=1 q=1") + one("", " model=m", " model=o"))
			name, _ := table.ask(r)
			got := grade{}
			if name != "" {
				got = specificityOf(matches[name], r)
			}
			if want := best(matches, r); got != want {
				t.Fatalf("%+v of %+v: route %q, %v; want specificity %v", r, matches, name, got, want)
			}
		}
	}
}

func values(m map[string]config.Match) (all []config.Match) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// grade is how specific a match is, a greater number being more; the zero grade is no match.
type grade [7]int

func best(matches map[string]config.Match, r request) (best grade) {
	for _, m := range matches {
		if g := specificityOf(m, r); slices.Compare(g[:], best[:]) > 0 {
			best = g
		}
	}
	return best
}

func specificityOf(m config.Match, r request) (g grade) {
	host := 1
	if len(m.Hosts) > 0 {
		suffix, wild := strings.CutPrefix(m.Hosts[0], "*")
		switch {
		case !wild && r.host == suffix:
			host = 1000
		case wild && strings.HasSuffix(r.host, suffix) && len(r.host) > len(suffix):
			host = 1 + len(suffix)
		default:
			return grade{}
		}
	}
	path := 1 + len(m.Path)
	switch {
	case m.Path == r.path && !strings.HasSuffix(m.Path, "/"):
		path = 1000
	case m.Path == "", strings.HasSuffix(m.Path, "/") && strings.HasPrefix(r.path, m.Path):
	default:
		return grade{}
	}
	exact := 0
	for name, value := range m.Headers {
		if got := r.fields[name]; got == nil || value != "*" && value != string(got) {
			return grade{}
		} else if value != "*" {
			exact++
		}
	}
	if len(m.Methods) > 0 && !slices.Contains(m.Methods, r.method) || m.Model != "" && m.Model != r.model {
		return grade{}
	}
	return grade{1, host, path, len(m.Headers), exact, -cmp.Or(len(m.Methods), 99), len(m.Model)}
}
