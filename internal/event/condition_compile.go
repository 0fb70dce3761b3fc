package event

import (
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

type (
	boolFunc  func(*scope) bool
	valueFunc func(*scope) Value
)

// compiler turns the syntax tree into closures. Each node of the tree is
// evaluated at most once for an event, or once for each element of a list
// inside a predicate; predicates do not nest. That is the bound on the cost.
type compiler struct {
	inPredicate bool
}

// boolean compiles a node that is used as true or false. Any value but true
// counts as false.
func (c *compiler) boolean(n ast.Node) (boolFunc, error) {
	switch n := n.(type) {
	case *ast.BoolNode:
		return func(*scope) bool { return n.Value }, nil
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			inner, err := c.boolean(n.Node)
			if err != nil {
				return nil, err
			}
			return func(s *scope) bool { return !inner(s) }, nil
		}
	case *ast.BinaryNode:
		if f, err := c.binaryBool(n); f != nil || err != nil {
			return f, err
		}
	case *ast.BuiltinNode:
		if f, err := c.predicate(n); f != nil || err != nil {
			return f, err
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.NilNode, *ast.ArrayNode:
		return nil, errorAt(n, "a condition is true or false, this is a constant: compare a field with it")
	}
	value, err := c.value(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool { return value(s).Bool() }, nil
}

// binaryBool compiles the operators whose result is true or false; nil for
// any other operator.
func (c *compiler) binaryBool(n *ast.BinaryNode) (boolFunc, error) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		return c.logical(n)
	case "==", "!=":
		return c.equality(n)
	case "<", "<=", ">", ">=":
		return c.order(n)
	case "in":
		return c.membership(n)
	case "contains", "startsWith", "endsWith":
		return c.substring(n)
	case "matches":
		return c.matches(n)
	}
	return nil, nil
}

func (c *compiler) logical(n *ast.BinaryNode) (boolFunc, error) {
	left, err := c.boolean(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := c.boolean(n.Right)
	if err != nil {
		return nil, err
	}
	if n.Operator == "and" || n.Operator == "&&" {
		return func(s *scope) bool { return left(s) && right(s) }, nil
	}
	return func(s *scope) bool { return left(s) || right(s) }, nil
}

func (c *compiler) operands(n *ast.BinaryNode) (left, right valueFunc, err error) {
	if left, err = c.value(n.Left); err != nil {
		return nil, nil, err
	}
	right, err = c.value(n.Right)
	return left, right, err
}

// equality compiles == and !=. Compared with nil a field is tested for being
// there. Everything else needs two values of comparable kinds.
func (c *compiler) equality(n *ast.BinaryNode) (boolFunc, error) {
	want := n.Operator == "=="
	if _, ok := n.Right.(*ast.NilNode); ok {
		return c.presence(n.Left, want)
	}
	if _, ok := n.Left.(*ast.NilNode); ok {
		return c.presence(n.Right, want)
	}
	left, right, err := c.operands(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool {
		a, b := left(s), right(s)
		return comparable2(a, b) && a.Equal(b) == want
	}, nil
}

// comparable2 reports whether == between the two has a meaning.
func comparable2(a, b Value) bool {
	if a.kind == b.kind {
		return a.kind != KindMissing
	}
	_, an := a.Number()
	_, bn := b.Number()
	return an && bn
}

// presence tests whether a field is there; an object is when any field below
// it is.
func (c *compiler) presence(n ast.Node, wantMissing bool) (boolFunc, error) {
	if path, ok := fieldPath(n); ok {
		return func(s *scope) bool {
			present := s.event.Has(path) && s.event.Get(path).kind != KindNull
			return present != wantMissing
		}, nil
	}
	value, err := c.value(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool {
		k := value(s).kind
		return (k == KindMissing || k == KindNull) == wantMissing
	}, nil
}

func (c *compiler) order(n *ast.BinaryNode) (boolFunc, error) {
	left, right, err := c.operands(n)
	if err != nil {
		return nil, err
	}
	var holds func(int) bool
	switch n.Operator {
	case "<":
		holds = func(d int) bool { return d < 0 }
	case "<=":
		holds = func(d int) bool { return d <= 0 }
	case ">":
		holds = func(d int) bool { return d > 0 }
	default:
		holds = func(d int) bool { return d >= 0 }
	}
	return func(s *scope) bool {
		d, ok := compareValues(left(s), right(s))
		return ok && holds(d)
	}, nil
}

// compareValues orders two numbers or two texts.
func compareValues(a, b Value) (int, bool) {
	if a.kind == KindString && b.kind == KindString {
		return strings.Compare(a.str, b.str), true
	}
	if a.kind == KindInt && b.kind == KindInt {
		switch x, y := int64(a.num), int64(b.num); {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	}
	x, xok := a.Number()
	y, yok := b.Number()
	switch {
	case !xok || !yok:
		return 0, false
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, true
}

// membership compiles "x in list": list is a list of constants, a field that
// is a list, or a field that is one value.
func (c *compiler) membership(n *ast.BinaryNode) (boolFunc, error) {
	left, right, err := c.operands(n)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool {
		v, list := left(s), right(s)
		if list.kind != KindList {
			return v.Equal(list)
		}
		return slices.ContainsFunc(list.more.list, v.Equal)
	}, nil
}

func (c *compiler) substring(n *ast.BinaryNode) (boolFunc, error) {
	left, right, err := c.operands(n)
	if err != nil {
		return nil, err
	}
	test := strings.Contains
	switch n.Operator {
	case "startsWith":
		test = strings.HasPrefix
	case "endsWith":
		test = strings.HasSuffix
	}
	return func(s *scope) bool {
		a, b := left(s), right(s)
		return b.kind == KindString && anyText(a, func(t string) bool { return test(t, b.str) })
	}, nil
}

// anyText applies a test to a text, or to each text of a list.
func anyText(v Value, test func(string) bool) bool {
	switch v.kind {
	case KindString:
		return test(v.str)
	case KindList:
		for _, e := range v.more.list {
			if e.kind == KindString && test(e.str) {
				return true
			}
		}
	}
	return false
}

func (c *compiler) matches(n *ast.BinaryNode) (boolFunc, error) {
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		return nil, errorAt(n.Right, "the regular expression after matches must be a constant text")
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		return nil, errorAt(n.Right, "%s", err)
	}
	left, err := c.value(n.Left)
	if err != nil {
		return nil, err
	}
	return func(s *scope) bool { return anyText(left(s), re.MatchString) }, nil
}
