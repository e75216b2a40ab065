package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"mlproxy/admin"
)

// The shells know nothing of mlproxy's commands: they hand the words typed so far to mlproxy complete, which knows them all.

var completions = map[string]string{
	"bash": `COMP_WORDBREAKS=${COMP_WORDBREAKS//:}
_mlproxy() {
  local IFS=$'\n'
  COMPREPLY=($(mlproxy complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ ${COMPREPLY-} == *= ]] && compopt -o nospace
  return 0
}
complete -o default -F _mlproxy mlproxy
`,
	"zsh": `#compdef mlproxy
_mlproxy() {
  local -a found
  found=("${(@f)$(mlproxy complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -z $found[1] ]]; then _files
  elif [[ $found[1] == *= ]]; then compadd -S '' -- $found
  else compadd -- $found
  fi
}
compdef _mlproxy mlproxy
`,
	"fish": `complete -c mlproxy -a '(mlproxy complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish. For bash: source <(mlproxy completion bash)"`
}

// Run prints the shell's script.
func (c *completionCmd) Run(t *terminal) error {
	_, err := fmt.Fprint(t.Out, completions[c.Shell])
	return err
}

type completeCmd struct {
	Words []string `arg:"" optional:"" help:"The words typed so far; the last one is to be completed."`
}

// Run prints what may stand in the last word's place, one a line.
func (c *completeCmd) Run(t *terminal, parser *kong.Kong) error {
	words := append([]string{""}, c.Words...)
	last, lines := len(words)-1, ""
	for _, found := range newLine(parser.Model.Node, words[:last]).candidates(words[last]) {
		if strings.HasPrefix(found, words[last]) {
			lines += found + "\n"
		}
	}
	_, err := io.WriteString(t.Out, lines)
	return err
}

// line is what the words before the last one mean.
type line struct {
	node  *kong.Node // the command so far
	args  int        // arguments it has already
	value *kong.Flag // the flag that waits for its value
	flags map[string]*kong.Flag
	given map[string]string // values of flags
}

func newLine(root *kong.Node, words []string) *line {
	l := &line{flags: map[string]*kong.Flag{}, given: map[string]string{}}
	l.enter(root)
	for _, word := range words {
		l.take(word)
	}
	return l
}

// enter goes into a command, which knows all flags of those above it.
func (l *line) enter(n *kong.Node) {
	l.node = n
	for _, f := range n.Flags {
		l.flags["--"+f.Name] = f
		if f.Short != 0 {
			l.flags["-"+string(f.Short)] = f
		}
	}
}

func (l *line) take(word string) {
	switch {
	case word == "":
	case l.value != nil:
		l.given[l.value.Name] = word
		l.value = nil
	case strings.HasPrefix(word, "-"):
		name, _, whole := strings.Cut(word, "=")
		if f := l.flags[name]; f != nil && !f.IsBool() && !whole {
			l.value = f
		}
	default:
		for _, child := range l.node.Children {
			if child.Name == word {
				l.enter(child)
				return
			}
		}
		l.args++
	}
}

// candidates are what may come next; nothing where only the shell knows, as for files.
func (l *line) candidates(word string) []string {
	switch {
	case l.value != nil:
		return l.value.EnumSlice()
	case strings.HasPrefix(word, "-"):
		return slices.DeleteFunc(slices.Sorted(maps.Keys(l.flags)), func(name string) bool { return !strings.HasPrefix(name, "--") })
	case len(l.node.Children) > 0:
		return commands(l.node)
	case len(l.node.Positional) == 0:
		return nil
	}
	return l.arguments(l.node.Positional[min(l.args, len(l.node.Positional)-1)])
}

func commands(n *kong.Node) (names []string) {
	for _, child := range n.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	return names
}

// arguments are the words of an argument, or the names that the running mlproxy has.
func (l *line) arguments(p *kong.Positional) []string {
	if p.Enum != "" {
		return p.EnumSlice()
	}
	s := l.status()
	switch p.Name {
	case "route":
		return slices.Sorted(maps.Keys(s.Routes))
	case "pool|endpoint":
		return append(slices.Sorted(maps.Keys(s.Pools)), endpointsOf(s)...)
	case "pool=weight":
		names := slices.Sorted(maps.Keys(s.Pools))
		for i := range names {
			names[i] += "="
		}
		return names
	}
	return nil
}

// endpointsOf are the addresses of all endpoints, each once.
func endpointsOf(s *admin.Status) (addresses []string) {
	for _, p := range s.Pools {
		for _, e := range p.Endpoints {
			addresses = append(addresses, e.URL)
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// flag is a flag's value: what was typed, the environment's, or its default.
func (l *line) flag(name string) string {
	if typed := l.given[name]; typed != "" {
		return typed
	}
	f := l.flags["--"+name]
	for _, variable := range f.Envs {
		if value := os.Getenv(variable); value != "" {
			return value
		}
	}
	return f.Default
}

// status is the running mlproxy's; an empty one if none answers soon.
func (l *line) status() *admin.Status {
	const patience = 500 * time.Millisecond
	client, err := admin.NewClient(l.flag("admin"), "")
	if err == nil {
		err = client.Trust(l.flag("ca-file"), l.flag("cert-file"), l.flag("key-file"))
	}
	if err != nil {
		return new(admin.Status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := client.Status(ctx)
	if err != nil {
		return new(admin.Status)
	}
	return s
}
