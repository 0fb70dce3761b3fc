package event

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Bounds of the work of one evaluation.
const (
	// conditionNodesMax is the largest number of parts of a condition.
	conditionNodesMax = 500
	// conditionElementsMax is the number of elements of a list that any, all,
	// none, one, count and split look at.
	conditionElementsMax = 1000
	// conditionTextMax is the length in bytes up to which texts are joined by +.
	conditionTextMax = 64 << 10
)

// Condition is a compiled expression over the fields of an event. It is
// immutable and safe for concurrent use.
//
// The language is that of expr-lang/expr. Dotted names are field paths; a name
// that is not an identifier is written field("@timestamp") or
// $env["@timestamp"]. A missing field, or a comparison of things that cannot
// be compared, makes that one comparison false, "!=" included; to ask
// whether a field is there, compare it with nil.
//
// Condition has the operators == != < <= > >= in contains startsWith endsWith
// matches (RE2, a constant) and or not ?: ?? + - * / % **, lists, and the
// functions of [ConditionFunctions]. What else the language has (variables,
// ranges, maps, sorting) is an error, because its cost has no bound.
type Condition struct {
	text string
	eval func(*scope) bool
}

// ConditionError is a condition that cannot be compiled. Line and Column are
// within the condition's own text, counted from 1.
type ConditionError struct {
	Condition    string
	Line, Column int
	Msg          string
}

// Error formats the problem with its place in the condition.
func (e *ConditionError) Error() string {
	return fmt.Sprintf("condition %q, line %d column %d: %s", e.Condition, e.Line, e.Column, e.Msg)
}

// CompileCondition compiles an expression whose value is true or false. Its
// errors are of type [*ConditionError].
func CompileCondition(text string) (*Condition, error) {
	config := conf.CreateNew()
	config.MaxNodes = conditionNodesMax
	tree, err := parser.ParseWithConfig(text, config)
	if err != nil {
		return nil, parseError(text, err)
	}
	c := &compiler{}
	eval, err := c.boolean(tree.Node)
	if err != nil {
		return nil, placeError(text, err)
	}
	return &Condition{text: text, eval: eval}, nil
}

// Match reports whether the event meets the condition.
func (c *Condition) Match(e *Event) bool { return c.eval(&scope{event: e}) }

// String returns the condition as it was written.
func (c *Condition) String() string { return c.text }

// scope is what a condition is evaluated over.
type scope struct {
	event *Event
	// element is what # stands for inside any, all, none, one and count.
	element Value
}

// nodeError is a problem at a place of the parsed expression.
type nodeError struct {
	at  file.Location
	msg string
}

func (e *nodeError) Error() string { return e.msg }

func errorAt(n ast.Node, format string, args ...any) error {
	return &nodeError{at: n.Location(), msg: fmt.Sprintf(format, args...)}
}

func parseError(text string, err error) error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return &ConditionError{Condition: text, Line: 1, Column: 1, Msg: err.Error()}
	}
	bound := fe.Bind(file.NewSource(text))
	return &ConditionError{Condition: text, Line: max(bound.Line, 1), Column: bound.Column + 1, Msg: fe.Message}
}

func placeError(text string, err error) error {
	var ne *nodeError
	if !errors.As(err, &ne) {
		return &ConditionError{Condition: text, Line: 1, Column: 1, Msg: err.Error()}
	}
	fe := (&file.Error{Location: ne.at, Message: ne.msg}).Bind(file.NewSource(text))
	return &ConditionError{Condition: text, Line: max(fe.Line, 1), Column: fe.Column + 1, Msg: ne.msg}
}
