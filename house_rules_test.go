package mlproxy_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"mlproxy/config"
)

// A rule finds what is against the policy. A fault says where, what is wrong, and what would be right.
type rule struct {
	name   string
	faults func(p *policy, h *house) []string
}

var rules = []rule{
	{"placed", unplaced},
	{"names", badlyNamed},
	{"arrows", forbiddenArrows},
	{"doors", forbiddenDoors},
	{"dependencies", unlistedDependencies},
	{"package comments", undocumentedPackages},
	{"exported comments", undocumentedNames},
	{"file length", longFiles},
	{"function length", longFunctions},
	{"links", deadLinks},
	{"pages", orphanPages},
	{"named tests", missingTests},
	{"architecture page", stalePolicyPage},
	{"shown configs", refusedConfigs},
}

// ---- the policy, read from its tables

type policy struct {
	floor  map[string]int
	allow  map[string][]string // room -> rooms
	doors  []door
	tables []string
}

type door struct {
	path  string
	rooms []string
}

func (d door) leadsTo(imported string) bool {
	return imported == d.path || strings.HasPrefix(imported, d.path+"/")
}

func readPolicy(t *testing.T, floors, arrows, doors string) *policy {
	t.Helper()
	p, faults := parsePolicy(floors, arrows, doors)
	for _, f := range faults {
		t.Error(f)
	}
	return p
}

// parsePolicy reads the tables and finds where they contradict each other.
func parsePolicy(floors, arrows, doors string) (p *policy, faults []string) {
	p = &policy{floor: map[string]int{}, allow: map[string][]string{}, tables: []string{floors, arrows, doors}}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf("policy: "+format, args...)) }
	for line := range strings.Lines(strings.TrimSpace(floors)) {
		words := strings.Fields(line)
		number, err := strconv.Atoi(words[0])
		if err != nil {
			fault("floors line %q: a line is a number and its rooms", strings.TrimSpace(line))
		}
		for _, room := range words[1:] {
			p.floor[room] = number
		}
	}
	for room, rooms := range table(arrows) {
		p.allow[room] = rooms
		if _, known := p.floor[room]; !known {
			fault("arrows name %s, which stands on no floor; add it to floors", room)
		}
		for _, to := range rooms {
			if lower, known := p.floor[to]; to != "*" && (!known || lower >= p.floor[room]) {
				fault("arrow %s -> %s does not lead to a lower floor; arrows lead downward only", room, to)
			}
		}
	}
	for room := range p.floor {
		if _, known := p.allow[room]; !known {
			fault("%s stands on a floor, but arrows do not say what it may import; add its line", room)
		}
	}
	for path, rooms := range table(doors) {
		p.doors = append(p.doors, door{path, rooms})
		for _, room := range rooms {
			if _, known := p.floor[room]; !known && room != "tests" {
				fault("door %s opens to %s, which stands on no floor; name a room of floors, or tests", path, room)
			}
		}
	}
	return p, faults
}

// home is the room a source belongs to: its folder, or for a folder of tests below a room, such as proxy/conformance, that room. A
// file that declares nothing may say what such a folder is for.
func (p *policy) home(s source) string {
	room := s.room
	for (s.test || len(s.file.Decls) == 0) && room != "." {
		if _, known := p.floor[room]; known {
			return room
		}
		room = path.Dir(room)
	}
	return s.room
}

// table reads lines of the form "name : words".
func table(text string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		name, words, _ := strings.Cut(line, " :")
		rows[strings.TrimSpace(name)] = strings.Fields(words)
	}
	return rows
}

// door finds the door through which a path is imported.
func (p *policy) door(imported string) (door, bool) {
	i := slices.IndexFunc(p.doors, func(d door) bool { return d.leadsTo(imported) })
	if i < 0 {
		return door{}, false
	}
	return p.doors[i], true
}

// ---- the house, read from its tree

type house struct {
	fset    *token.FileSet
	sources []source          // Go files of this module
	pages   map[string]string // Markdown files
	paths   map[string]bool   // all files and folders
	gomod   string
}

type source struct {
	path, room string
	test       bool
	lines      int
	file       *ast.File
}

// readHouse reads a tree but for modules of their own, testdata, and what is not committed.
func readHouse(fsys fs.FS) (*house, error) {
	h := &house{fset: token.NewFileSet(), pages: map[string]string{}, paths: map[string]bool{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		h.paths[name] = true
		if entry.IsDir() {
			return h.enter(fsys, name)
		}
		return h.add(fsys, name)
	})
	return h, err
}

func (h *house) enter(fsys fs.FS, folder string) error {
	if slices.Contains([]string{".git", ".bin", "bin", "state"}, folder) {
		return fs.SkipDir
	}
	return nil
}

func (h *house) add(fsys fs.FS, name string) error {
	kind := path.Ext(name)
	if kind != ".go" && kind != ".md" && name != "go.mod" {
		return nil
	}
	content, err := fs.ReadFile(fsys, name)
	switch {
	case err != nil:
		return err
	case name == "go.mod":
		h.gomod = string(content)
	case kind == ".md":
		h.pages[name] = string(content)
	case kind == ".go" && !outside(fsys, name):
		return h.parse(name, content)
	}
	return nil
}

// outside says whether a Go file belongs to a module of its own or is data of a test.
func outside(fsys fs.FS, name string) bool {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if _, err := fs.Stat(fsys, folder+"/go.mod"); err == nil || path.Base(folder) == "testdata" {
			return true
		}
	}
	return false
}

func (h *house) parse(name string, content []byte) error {
	file, err := parser.ParseFile(h.fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	h.sources = append(h.sources, source{
		path: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(content, []byte("\n")), file: file,
	})
	return nil
}

// program is the sources that are no tests.
func (h *house) program() []source {
	return slices.DeleteFunc(slices.Clone(h.sources), func(s source) bool { return s.test })
}

func (h *house) at(pos token.Pos) string {
	place := h.fset.Position(pos)
	return fmt.Sprintf("%s:%d", place.Filename, place.Line)
}

// imports calls visit with every import of a source.
func (s source) imports(visit func(imported string, spec *ast.ImportSpec)) {
	for _, spec := range s.file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		visit(imported, spec)
	}
}

// ---- rooms

func unplaced(p *policy, h *house) (faults []string) {
	seen := map[string]bool{".": true} // the root holds this test and nothing else
	for _, s := range h.sources {
		if s.room == "." && !s.test {
			faults = append(faults, s.path+": a Go file of the program at the root; it belongs into a room (see floors in house_test.go)")
		}
		if _, known := p.floor[p.home(s)]; !known && !seen[s.room] {
			faults = append(faults, s.path+": "+s.room+
				" stands on no floor; put the code into one of the rooms of house_test.go, a plug as one file of its family's package")
		}
		seen[s.room] = true
	}
	return faults
}

func badlyNamed(_ *policy, h *house) (faults []string) {
	seen := map[string]bool{}
	for _, s := range h.sources {
		for _, name := range append(strings.Split(s.room, "/"), strings.TrimSuffix(s.file.Name.Name, "_test")) {
			if slices.Contains(badNames, name) && !seen[s.room] {
				seen[s.room] = true
				faults = append(faults, fmt.Sprintf("%s: a package named %q says nothing of its purpose; name it for what it answers", s.path, name))
			}
		}
	}
	return faults
}

func forbiddenArrows(p *policy, h *house) (faults []string) {
	for _, s := range h.sources {
		s.room = p.home(s)
		s.imports(func(imported string, spec *ast.ImportSpec) {
			to, ours := strings.CutPrefix(imported, "mlproxy/")
			if !ours || s.room == "." || p.mayImport(s, to) {
				return
			}
			faults = append(faults, h.at(spec.Pos())+": "+p.whyNot(s, to))
		})
	}
	return faults
}

func (p *policy) mayImport(s source, to string) bool {
	allowed := p.allow[s.room]
	lower, known := p.floor[to]
	return known && (slices.Contains(allowed, to) || slices.Contains(allowed, "*") || s.test && lower <= p.floor[s.room])
}

func (p *policy) whyNot(s source, to string) string {
	from := s.room
	lower, known := p.floor[to]
	switch {
	case !known:
		return fmt.Sprintf("%s imports %s, which stands on no floor; import a room of house_test.go", from, to)
	case lower > p.floor[from]:
		return fmt.Sprintf("%s (floor %d) imports %s (floor %d), upward; let %s hand down a value or a func instead", from, p.floor[from], to, lower, to)
	case len(p.allow[from]) == 0:
		return fmt.Sprintf("%s imports %s; it may import no room of ours: take a value or a func instead", from, to)
	default:
		return fmt.Sprintf("%s imports %s; it may import %s", from, to, strings.Join(p.allow[from], ", "))
	}
}

// ---- doors

func forbiddenDoors(p *policy, h *house) (faults []string) {
	for _, s := range h.sources {
		s.imports(func(imported string, spec *ast.ImportSpec) {
			d, listed := p.door(imported)
			switch {
			case !listed && foreign(imported):
				faults = append(faults, fmt.Sprintf("%s: %s is behind no door; add it to doors in house_test.go with the one room that needs it, or do without",
					h.at(spec.Pos()), imported))
			case listed && !s.test && !slices.Contains(d.rooms, s.room):
				faults = append(faults, fmt.Sprintf("%s: %s imports %s, whose door is %s; ask that room, or hand it a value of ours",
					h.at(spec.Pos()), s.room, imported, strings.Join(d.rooms, ", ")))
			}
		})
	}
	return faults
}

// foreign says whether an import is neither ours nor the standard library's.
func foreign(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".")
}

// unlistedDependencies holds go.mod's direct dependencies against the doors, and against what is imported.
func unlistedDependencies(p *policy, h *house) (faults []string) {
	used := map[string]bool{}
	for _, s := range h.sources {
		s.imports(func(imported string, _ *ast.ImportSpec) {
			if d, listed := p.door(imported); listed {
				used[d.path] = true
			}
		})
	}
	for module, place := range direct(h.gomod) {
		switch d, listed := p.door(module); {
		case !listed:
			faults = append(faults, place+": "+module+" is behind no door; add it to doors in house_test.go with the room that uses it, or drop it")
		case !used[d.path]:
			faults = append(faults, place+": nobody imports "+module+"; go mod tidy")
		}
	}
	slices.Sort(faults)
	return faults
}

// direct gives the modules that go.mod requires for our own imports, each with its place.
func direct(gomod string) map[string]string {
	modules, number := map[string]string{}, 0
	block := ""
	for line := range strings.Lines(gomod) {
		number++
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case len(words) == 1 && words[0] == ")":
			block = ""
		case strings.Contains(line, "// indirect"):
		case block == "require" && len(words) >= 2:
			modules[words[0]] = fmt.Sprintf("go.mod:%d", number)
		case block == "" && len(words) >= 3 && words[0] == "require":
			modules[words[1]] = fmt.Sprintf("go.mod:%d", number)
		}
	}
	return modules
}

// ---- comments

func undocumentedPackages(_ *policy, h *house) (faults []string) {
	documented, first := map[string]bool{}, map[string]source{}
	for _, s := range h.program() {
		if _, seen := first[s.room]; !seen {
			first[s.room] = s
		}
		comment := s.file.Doc.Text()
		documented[s.room] = documented[s.room] || strings.HasPrefix(comment, opening(s))
	}
	for room, s := range first {
		if !documented[room] {
			faults = append(faults, fmt.Sprintf("%s: package %s has no comment; begin one with %q", s.path, s.file.Name.Name, opening(s)))
		}
	}
	slices.Sort(faults)
	return faults
}

// opening is how a package's comment begins, as go doc expects it.
func opening(s source) string {
	if s.file.Name.Name == "main" {
		return "Command " + path.Base(s.room)
	}
	return "Package " + s.file.Name.Name
}

func undocumentedNames(_ *policy, h *house) (faults []string) {
	for _, s := range h.program() {
		for _, name := range exported(s.file) {
			if !name.documented && s.file.Name.Name != "main" {
				faults = append(faults, fmt.Sprintf("%s: exported %s has no comment; say what its signature cannot: units, owner, errors, what it never does",
					h.at(name.pos), name.text))
			}
		}
	}
	return faults
}

type exportedName struct {
	text       string
	pos        token.Pos
	documented bool
}

// plain methods are documented by the interface everybody knows.
var plain = []string{"Error", "String", "Unwrap", "Len", "Less", "Swap"}

// exported lists the exported names at the top of a file, methods of exported types included.
func exported(file *ast.File) (names []exportedName) {
	add := func(id *ast.Ident, text string, comments ...*ast.CommentGroup) {
		if id.IsExported() {
			documented := slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c.Text() != "" })
			names = append(names, exportedName{text, id.Pos(), documented})
		}
	}
	for _, declared := range file.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			receiver := receiverName(d)
			if receiver == "" || ast.IsExported(receiver) && !slices.Contains(plain, d.Name.Name) {
				add(d.Name, strings.TrimPrefix(receiver+"."+d.Name.Name, "."), d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name, s.Name.Name, d.Doc, s.Doc, s.Comment)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id, id.Name, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
	return names
}

func receiverName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

// ---- sizes

func longFiles(_ *policy, h *house) (faults []string) {
	for _, s := range h.program() {
		if s.lines > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines; at most %d: split it where its reader would", s.path, s.lines, maxFileLines))
		}
	}
	return faults
}

func longFunctions(_ *policy, h *house) (faults []string) {
	for _, s := range h.program() {
		for _, f := range functions(h, s) {
			if f.lines > maxFunctionLines {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines; at most %d: leave the branches, move the work into functions of their own",
					h.at(f.pos), f.name, f.lines, maxFunctionLines))
			}
		}
	}
	return faults
}

type function struct {
	name  string
	pos   token.Pos
	lines int
}

func functions(h *house, s source) (list []function) {
	for _, declared := range s.file.Decls {
		if d, ok := declared.(*ast.FuncDecl); ok && d.Body != nil {
			lines := h.fset.Position(d.End()).Line - h.fset.Position(d.Pos()).Line + 1
			list = append(list, function{d.Name.Name, d.Pos(), lines})
		}
	}
	return list
}

// ---- pages

var (
	link  = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	fence = regexp.MustCompile("(?ms)^ *```.*?^ *```")
)

// deadLinks follows the links between pages, and into the tree, with their anchors. Links to other sites are not followed.
func deadLinks(_ *policy, h *house) (faults []string) {
	for page, text := range h.pages {
		for number, line := range prose(text) {
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				if why := h.dead(page, found[1]); why != "" {
					faults = append(faults, fmt.Sprintf("%s:%d: link to %s: %s", page, number+1, found[1], why))
				}
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// prose is a page's lines with the code blocks blanked.
func prose(text string) []string {
	blank := func(block string) string { return strings.Repeat("\n", strings.Count(block, "\n")) }
	return strings.Split(fence.ReplaceAllStringFunc(text, blank), "\n")
}

// dead says what is wrong with a link; "" = it leads somewhere.
func (h *house) dead(page, target string) string {
	if strings.Contains(target, ":") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := page
	if file != "" {
		to = path.Join(path.Dir(page), file)
	}
	if !h.paths[to] {
		return "there is no " + to + "; write the page or name the right one"
	}
	if anchor != "" && !slices.Contains(anchors(h.pages[to]), anchor) {
		return to + " has no heading for #" + anchor + "; it has " + strings.Join(anchors(h.pages[to]), ", ")
	}
	return ""
}

// anchors are the names by which a page's headings are linked to.
func anchors(text string) (list []string) {
	for _, line := range prose(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			list = append(list, slug(strings.TrimSpace(heading)))
		}
	}
	return list
}

func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// orphanPages finds pages under docs/ that the list of pages does not have.
func orphanPages(_ *policy, h *house) (faults []string) {
	index := h.pages["docs/index.md"]
	for page := range h.pages {
		name, isDoc := strings.CutPrefix(page, "docs/")
		if isDoc && name != "index.md" && !strings.Contains(index, "]("+name) {
			faults = append(faults, page+": not listed in docs/index.md; add it there with a line that says what it answers")
		}
	}
	slices.Sort(faults)
	return faults
}

// A page names a test as `TestSomething`, and where it is by a link to its file before it on the same line.
var namedTest = regexp.MustCompile("`(Test[A-Z]\\w*)`|\\]\\(([^()#]+_test\\.go)\\)")

// missingTests finds the tests that pages rely on and that are not there.
func missingTests(_ *policy, h *house) (faults []string) {
	tests := h.tests()
	for page, text := range h.pages {
		for number, line := range prose(text) {
			file := ""
			for _, found := range namedTest.FindAllStringSubmatch(line, -1) {
				name := found[1]
				if name == "" {
					file = path.Join(path.Dir(page), found[2])
				} else if in := tests[name]; len(in) == 0 || file != "" && !slices.Contains(in, file) {
					faults = append(faults, fmt.Sprintf("%s:%d: there is no test %s in %s; name the one that holds this", page, number+1, name, cmp.Or(file, "any file")))
				}
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// tests are the files of each test, by its name.
func (h *house) tests() map[string][]string {
	in := map[string][]string{}
	for _, s := range h.sources {
		for _, d := range s.file.Decls {
			if f, is := d.(*ast.FuncDecl); is && s.test && f.Recv == nil {
				in[f.Name.Name] = append(in[f.Name.Name], s.path)
			}
		}
	}
	return in
}

// stalePolicyPage holds the page that explains the house to the tables that rule it.
func stalePolicyPage(p *policy, h *house) (faults []string) {
	const page = "docs/architecture.md"
	for _, text := range p.tables {
		for line := range strings.Lines(strings.TrimSpace(text)) {
			if !strings.Contains(h.pages[page], strings.TrimRight(line, "\n")+"\n") {
				faults = append(faults, fmt.Sprintf("%s: lacks the line %q of house_test.go; show the tables as they are", page, strings.TrimSpace(line)))
				break // the first of a table is enough
			}
		}
	}
	return faults
}

// whole finds the configs that pages show as a whole, and not only a part of one.
var whole = regexp.MustCompile("(?ms)^```yaml\n(version: .*?)^```")

// refusedConfigs tries every whole config that a page shows: a reader may copy it as it stands.
func refusedConfigs(_ *policy, h *house) (faults []string) {
	for page, text := range h.pages {
		for _, block := range whole.FindAllStringSubmatchIndex(text, -1) {
			first := 1 + strings.Count(text[:block[2]], "\n")
			if _, err := config.Parse(page, []byte(text[block[2]:block[3]]), unset); err != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: the config that begins here is refused: %v", page, first, err))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

func unset(string) (string, bool) { return "", false }

// ---- thermometers

func thermometers(p *policy, h *house) []string {
	arrows, names, lengths := map[string]bool{}, map[string]int{}, []int(nil)
	interfaces, widest := 0, 0
	for _, s := range h.program() {
		s.imports(func(imported string, _ *ast.ImportSpec) {
			if to, ours := strings.CutPrefix(imported, "mlproxy/"); ours {
				arrows[s.room+" "+to] = true
			}
		})
		for _, f := range functions(h, s) {
			lengths = append(lengths, f.lines)
		}
		for _, name := range exported(s.file) {
			if !strings.Contains(name.text, ".") {
				names[s.room]++
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok && len(i.Methods.List) > 0 {
				interfaces, widest = interfaces+1, max(widest, len(i.Methods.List))
			}
			return true
		})
	}
	if len(lengths) == 0 {
		return nil
	}
	slices.Sort(lengths)
	return []string{
		fmt.Sprintf("rooms %d, arrows %d, upward %d", len(names), len(arrows), len(forbiddenArrows(p, h))),
		fmt.Sprintf("function lines: median %d, p99 %d, longest %d", lengths[len(lengths)/2], lengths[len(lengths)*99/100], lengths[len(lengths)-1]),
		fmt.Sprintf("exported names (no methods) by room: %v", names),
		fmt.Sprintf("interfaces %d, widest %d methods", interfaces, widest),
	}
}
