package main

import (
	"errors"

	"mlproxy/admin"
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
