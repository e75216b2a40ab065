package main

import (
	"errors"
	"fmt"

	"mlproxy/admin"
	"mlproxy/config"
)

// errSaid is for a command that has already printed what went wrong.
var errSaid = errors.New("said already")

// coded is an error with the exit code it ends the program with.
type coded struct {
	error
	code int
}

func (c *coded) Unwrap() error { return c.error }

// usage is an error in what was typed.
func usage(err error) error { return &coded{err, exitUsage} }

// invalid is an error in the config, whatever kind it is.
func invalid(err error) error { return &coded{err, exitConfig} }

// codeOf is the exit code of what a command returned.
func codeOf(err error) int {
	if c, ok := errors.AsType[*coded](err); ok {
		return c.code
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, admin.ErrUnreachable):
		return exitUnreachable
	}
	return exitFailed
}

// complaint is an error for programs.
type complaint struct {
	Error string `json:"error"`
	Exit  int    `json:"exit"`
	// Status and Reason are the API's, if it was that which refused.
	Status int     `json:"status,omitempty"`
	Reason string  `json:"reason,omitempty"`
	Faults []fault `json:"faults,omitempty"`
}

// complain says what went wrong: in JSON, to those who asked for results in it.
func complain(t *terminal, args []string, err error) {
	if !wantsJSON(args) {
		fmt.Fprintf(t.Err, "mlproxy: %v\n", err)
		return
	}
	c := complaint{Error: err.Error(), Exit: codeOf(err)}
	if p, ok := errors.AsType[*admin.Problem](err); ok {
		c.Error, c.Status, c.Reason = p.Detail, p.Status, p.Reason
		for _, f := range p.Faults {
			c.Faults = append(c.Faults, fault{What: f})
		}
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		c.Error, c.Faults = "the config is invalid; mend what is listed", faultsOf(faults)
	}
	_ = writeJSON(t.Err, c)
}

// wantsJSON looks for -o json also where the rest of the line makes no sense.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "-o", "--output":
			return i+1 < len(args) && args[i+1] == "json"
		case "-ojson", "-o=json", "--output=json":
			return true
		}
	}
	return false
}
