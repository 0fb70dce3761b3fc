// Package apierror is the shape of Elasticsearch's errors: a type, a reason, a
// status and a chain of causes. Every package of the search node returns it where the
// request, and not the node, is at fault.
package apierror

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is one error of a request.
type Error struct {
	// Status is the HTTP status; 0 counts as 400.
	Status int
	// Type is Elasticsearch's name of the exception, in snake case.
	Type string
	// Reason is for people.
	Reason string
	// Cause is shown as caused_by.
	Cause *Error
	// Fields are further members of the JSON object, such as index.
	Fields map[string]any
	// Shard marks an error that Elasticsearch meets while it runs a query on
	// a shard; it is shown inside a search_phase_execution_exception.
	Shard bool
}

// Error implements error.
func (e *Error) Error() string { return e.Type + ": " + e.Reason }

// HTTPStatus returns the status to answer with.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// WithCause returns e with a cause set.
func (e *Error) WithCause(cause *Error) *Error {
	e.Cause = cause
	return e
}

// New returns a 400 of the type.
func New(kind, format string, args ...any) *Error {
	return &Error{Type: kind, Reason: fmt.Sprintf(format, args...)}
}

// Illegal returns an illegal_argument_exception.
func Illegal(format string, args ...any) *Error {
	return New("illegal_argument_exception", format, args...)
}

// Parsing returns a parsing_exception.
func Parsing(format string, args ...any) *Error {
	return New("parsing_exception", format, args...)
}

// Unsupported says that Elasticsearch has a feature that this node has not.
func Unsupported(feature string) *Error {
	return Illegal("%s is not supported by the Millrace search node", feature)
}

// OnShard returns an error of a query as a shard reports it.
func OnShard(kind, format string, args ...any) *Error {
	e := New(kind, format, args...)
	e.Shard = true
	return e
}

// From returns the request's error in err, and false where the node is at fault.
func From(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
