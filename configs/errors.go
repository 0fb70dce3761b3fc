package configs

import (
	"fmt"
	"strings"
)

// FieldError is one problem in a configuration file.
type FieldError struct {
	// File that holds the problem.
	File string
	// Line and Column are counted from 1; 0 when the problem has no place.
	Line, Column int
	// Msg says what is wrong and what to write instead.
	Msg string
}

// Error formats the problem as file:line:column: message.
func (e *FieldError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Errors are all problems of a configuration, in the order of the files.
type Errors []*FieldError

// Error formats one problem per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}
