package event

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
)

// conditionFunction is a function of conditions: of a fixed number of values,
// missing when an argument is not of the right kind.
type conditionFunction struct {
	args int
	call func(args []Value) Value
}

// ConditionFunctions returns the names of the functions that conditions have,
// in alphabetical order.
func ConditionFunctions() []string {
	names := []string{"field", "any", "all", "none", "one", "count"}
	for _, f := range functionNames {
		names = append(names, f)
	}
	slices.Sort(names)
	return names
}

var functionNames = [...]string{
	"lower", "upper", "trim", "len", "int", "float", "string", "abs",
	"hasPrefix", "hasSuffix", "indexOf", "split", "cidr",
}

// functionNamed returns a function of conditions.
func functionNamed(name string) (conditionFunction, bool) {
	switch name {
	case "lower":
		return ofText(strings.ToLower), true
	case "upper":
		return ofText(strings.ToUpper), true
	case "trim":
		return ofText(strings.TrimSpace), true
	case "len":
		return conditionFunction{1, func(a []Value) Value { return lengthOf(a[0]) }}, true
	case "int":
		return conditionFunction{1, func(a []Value) Value { return toInt(a[0]) }}, true
	case "float":
		return conditionFunction{1, func(a []Value) Value { return toFloat(a[0]) }}, true
	case "string":
		return conditionFunction{1, func(a []Value) Value { return toText(a[0]) }}, true
	case "abs":
		return conditionFunction{1, func(a []Value) Value { return absOf(a[0]) }}, true
	case "hasPrefix":
		return ofTexts(func(a, b string) Value { return Bool(strings.HasPrefix(a, b)) }), true
	case "hasSuffix":
		return ofTexts(func(a, b string) Value { return Bool(strings.HasSuffix(a, b)) }), true
	case "indexOf":
		return ofTexts(func(a, b string) Value { return Int(int64(strings.Index(a, b))) }), true
	case "split":
		return ofTexts(splitText), true
	case "cidr":
		return ofTexts(inNetwork), true
	}
	return conditionFunction{}, false
}

func ofText(f func(string) string) conditionFunction {
	return conditionFunction{1, func(a []Value) Value {
		if a[0].kind != KindString {
			return Value{}
		}
		return String(f(a[0].str))
	}}
}

func ofTexts(f func(a, b string) Value) conditionFunction {
	return conditionFunction{2, func(a []Value) Value {
		if a[0].kind != KindString || a[1].kind != KindString {
			return Value{}
		}
		return f(a[0].str, a[1].str)
	}}
}

func lengthOf(v Value) Value {
	switch v.kind {
	case KindString:
		return Int(int64(utf8.RuneCountInString(v.str)))
	case KindList:
		return Int(int64(len(v.more.list)))
	default:
		return Value{}
	}
}

func toInt(v Value) Value {
	switch v.kind {
	case KindInt:
		return v
	case KindFloat:
		if f := math.Trunc(math.Float64frombits(v.num)); math.Abs(f) < 1<<63 {
			return Int(int64(f))
		}
	case KindString:
		if n, err := strconv.ParseInt(strings.TrimSpace(v.str), 10, 64); err == nil {
			return Int(n)
		}
	}
	return Value{}
}

func toFloat(v Value) Value {
	if f, ok := v.Number(); ok {
		return Float(f)
	}
	if v.kind == KindString {
		if f, err := strconv.ParseFloat(strings.TrimSpace(v.str), 64); err == nil {
			return Float(f)
		}
	}
	return Value{}
}

func toText(v Value) Value {
	if v.kind == KindMissing {
		return v
	}
	return String(v.Text())
}

func absOf(v Value) Value {
	switch v.kind {
	case KindInt:
		return Int(max(int64(v.num), -int64(v.num)))
	case KindFloat:
		return Float(math.Abs(math.Float64frombits(v.num)))
	default:
		return Value{}
	}
}

func splitText(text, separator string) Value {
	if separator == "" {
		return Value{}
	}
	parts := strings.SplitN(text, separator, conditionElementsMax)
	list := make([]Value, len(parts))
	for i, p := range parts {
		list[i] = String(p)
	}
	return List(list...)
}

// inNetwork is cidr(address, "10.0.0.0/8").
func inNetwork(address, network string) Value {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return Value{}
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return Value{}
	}
	return Bool(prefix.Contains(a.Unmap()))
}

// call compiles a call of a function.
func (c *compiler) call(n ast.Node, name string, arguments []ast.Node) (valueFunc, error) {
	if b, ok := n.(*ast.BuiltinNode); ok {
		if name == "count" {
			return c.count(b)
		}
		f, err := c.predicate(b)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return boolValue(f), nil
		}
	}
	f, ok := functionNamed(name)
	if !ok {
		return nil, errorAt(n, "there is no function %s in conditions: there are %s", name, strings.Join(ConditionFunctions(), ", "))
	}
	if len(arguments) != f.args {
		return nil, errorAt(n, "%s takes %d arguments, not %d", name, f.args, len(arguments))
	}
	compiled := make([]valueFunc, len(arguments))
	for i, a := range arguments {
		var err error
		if compiled[i], err = c.value(a); err != nil {
			return nil, err
		}
	}
	return func(s *scope) Value {
		var args [2]Value
		for i, a := range compiled {
			args[i] = a(s)
		}
		return f.call(args[:len(compiled)])
	}, nil
}

// predicate compiles any, all, none and one over a list; nil for any other
// function.
func (c *compiler) predicate(n *ast.BuiltinNode) (boolFunc, error) {
	var holds func(matched, total int) bool
	switch n.Name {
	case "any":
		holds = func(matched, _ int) bool { return matched > 0 }
	case "all":
		holds = func(matched, total int) bool { return matched == total }
	case "none":
		holds = func(matched, _ int) bool { return matched == 0 }
	case "one":
		holds = func(matched, _ int) bool { return matched == 1 }
	default:
		return nil, nil
	}
	counter, err := c.counter(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool {
		matched, total, ok := counter(s)
		return ok && holds(matched, total)
	}, nil
}

func (c *compiler) count(n *ast.BuiltinNode) (valueFunc, error) {
	counter, err := c.counter(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) Value {
		matched, _, ok := counter(s)
		if !ok {
			return Value{}
		}
		return Int(int64(matched))
	}, nil
}

// counter compiles the list and the predicate of such a function. A single
// value counts as a list of one.
func (c *compiler) counter(n *ast.BuiltinNode) (func(*scope) (matched, total int, ok bool), error) {
	if c.inPredicate {
		return nil, errorAt(n, "%s cannot stand inside another function over a list", n.Name)
	}
	if len(n.Arguments) != 2 {
		return nil, errorAt(n, "%s takes a list and a test, for instance %s(tags, # == \"x\")", n.Name, n.Name)
	}
	list, err := c.value(n.Arguments[0])
	if err != nil {
		return nil, err
	}
	body, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return nil, errorAt(n.Arguments[1], "%s takes a list and a test", n.Name)
	}
	c.inPredicate = true
	test, err := c.boolean(body.Node)
	c.inPredicate = false
	if err != nil {
		return nil, err
	}
	return func(s *scope) (matched, total int, ok bool) {
		v := list(s)
		if v.kind == KindMissing || v.kind == KindNull {
			return 0, 0, false
		}
		elements := v.List()
		if v.kind != KindList {
			elements = []Value{v}
		}
		elements = elements[:min(len(elements), conditionElementsMax)]
		inner := scope{event: s.event}
		for _, inner.element = range elements {
			if test(&inner) {
				matched++
			}
		}
		return matched, len(elements), true
	}, nil
}
