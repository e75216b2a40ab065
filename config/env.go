package config

import (
	"fmt"
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`\$?\$\{([^}]*)(\}?)`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} and ${NAME:-default} by what env says, and refuses them if that is nil; the default also stands in for an empty value, as in
// a shell. $${ is a plain ${. What a variable holds is never expanded again, nor read as YAML.
func expand(s string, env func(string) (string, bool)) (string, problem) {
	if !strings.Contains(s, "${") {
		return s, problem{}
	}
	var first problem
	text := variable.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		value, p := lookup(m, env)
		if first.none() {
			first = p
		}
		return value
	})
	return text, first
}

// lookup gives the value of one reference such as ${NAME:-default}.
func lookup(reference string, env func(string) (string, bool)) (string, problem) {
	inner, closed := strings.CutSuffix(reference[len("${"):], "}")
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !closed || !variableName.MatchString(name) {
		return "", problem{
			shorten(reference) + " names no environment variable",
			"write ${NAME} or ${NAME:-default}, or $${ for a plain ${",
		}
	}
	if env == nil {
		return "", problem{
			shorten(reference) + " would be a variable of this machine, and a key of Consul has none",
			"write the value out, or $${ for a plain ${",
		}
	}
	value, set := env(name)
	if hasFallback && value == "" {
		return fallback, problem{}
	}
	if !set {
		return "", problem{
			fmt.Sprintf("the environment variable %s is not set", name),
			fmt.Sprintf("set it, or write ${%s:-default}", name),
		}
	}
	return value, problem{}
}

var anyReference = regexp.MustCompile(`\$\{[^}]*\}?`)

// plain writes s so that expand gives s back.
func plain(s string) string { return anyReference.ReplaceAllString(s, "$$$0") }
