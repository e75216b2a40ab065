package main

import (
	"encoding/json"
	"io"
	"os"
)

// output is the flag for the form of results.
type output struct {
	Output string `short:"o" enum:"text,json" default:"text" placeholder:"text|json" help:"Form of the result."`
}

// print writes a result as JSON, or lets text write it for people.
func (o *output) print(t *terminal, result any, text func()) error {
	if o.Output != "json" {
		text()
		return nil
	}
	return writeJSON(t.Out, result)
}

func writeJSON(to io.Writer, value any) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// coloured says whether results go to a terminal that shows colours and whose owner has not asked for none.
func (t *terminal) coloured() bool { return os.Getenv("NO_COLOR") == "" && t.interactive() }

// interactive says whether results go to a terminal on which they can be drawn anew in place.
func (t *terminal) interactive() bool {
	file, ok := t.Out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
