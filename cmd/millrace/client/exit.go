package client

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/configs"
)

// Exit codes of the process.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// UsageError is a command line that means nothing: an unknown flag, a missing
// argument, a value that cannot be read.
type UsageError struct {
	// Msg is one line that says what to write instead.
	Msg string
}

// Error returns the message.
func (e *UsageError) Error() string { return e.Msg }

func usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// ExitCode returns the exit code of a command that ended with the error.
func ExitCode(err error) int {
	var usage *UsageError
	var fields configs.Errors
	var field *configs.FieldError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &usage), errors.As(err, &fields), errors.As(err, &field), cobraUsage(err):
		return ExitUsage
	default:
		return ExitFailed
	}
}

// cobraUsage knows the errors that cobra makes itself, which have no type.
func cobraUsage(err error) bool {
	text := err.Error()
	for _, begin := range []string{"unknown command ", "unknown flag: ", "unknown shorthand flag: ", "required flag(s) ", "invalid argument ", "flag needs an argument: "} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// PrintError writes the error to w in one line. The problems of a
// configuration file keep a line each.
func PrintError(w io.Writer, err error) {
	text := err.Error()
	if _, ok := errors.AsType[configs.Errors](err); !ok {
		lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		text = strings.Join(lines, "; ")
	}
	fmt.Fprintf(w, "millrace: %s\n", text)
}

// Arguments wraps cobra's check of the number of arguments so that a wrong
// one is a [UsageError] that shows the right form.
func Arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%s: write %s (more with --help)", strings.TrimSuffix(err.Error(), "."), cmd.UseLine())
		}
		return nil
	}
}

// parent makes a command that only holds others; an unknown one is a [UsageError].
func parent(c *cobra.Command, children ...*cobra.Command) *cobra.Command {
	c.SilenceUsage, c.SilenceErrors = true, true
	c.AddCommand(children...)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		names := make([]string, 0, len(children))
		for _, ch := range children {
			names = append(names, ch.Name())
		}
		if len(args) == 0 {
			return usagef("%s needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
		}
		return usagef("%s has no command %q: there are %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
	}
	c.Args = cobra.ArbitraryArgs
	return c
}
