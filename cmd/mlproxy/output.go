package main

import (
	"encoding/json"
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
	e := json.NewEncoder(t.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(result)
}

// coloured says whether results go to a terminal that shows colours and whose owner has not asked for none.
func (t *terminal) coloured() bool {
	file, ok := t.Out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
