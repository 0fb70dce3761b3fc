package event

import (
	"math"

	"github.com/expr-lang/expr/ast"
)

// value compiles a node for its value; KindMissing is what has none.
func (c *compiler) value(n ast.Node) (valueFunc, error) {
	if path, ok := fieldPath(n); ok {
		return func(s *scope) Value { return s.event.Get(path) }, nil
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return constant(Null()), nil
	case *ast.IntegerNode:
		return constant(Int(int64(n.Value))), nil
	case *ast.FloatNode:
		return constant(Float(n.Value)), nil
	case *ast.StringNode:
		return constant(String(n.Value)), nil
	case *ast.BoolNode:
		return constant(Bool(n.Value)), nil
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.ChainNode:
		return c.value(n.Node)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.PointerNode:
		if !c.inPredicate || n.Name != "" {
			return nil, errorAt(n, "# stands for an element inside any, all, none, one and count only")
		}
		return func(s *scope) Value { return s.element }, nil
	case *ast.MemberNode:
		return c.member(n)
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.CallNode:
		if name, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(n, name.Value, n.Arguments)
		}
	}
	return nil, errorAt(n, "%s is not available in conditions", nodeName(n))
}

func constant(v Value) valueFunc { return func(*scope) Value { return v } }

// fieldPath recognises names of fields: a.b.c, a["b-c"].d, $env["@timestamp"]
// and field("a.b").
func fieldPath(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, n.Value != "$env"
	case *ast.ChainNode:
		return fieldPath(n.Node)
	case *ast.MemberNode:
		name, ok := n.Property.(*ast.StringNode)
		if !ok || n.Method {
			return "", false
		}
		if id, ok := n.Node.(*ast.IdentifierNode); ok && id.Value == "$env" {
			return name.Value, true
		}
		parent, ok := fieldPath(n.Node)
		return parent + "." + name.Value, ok
	case *ast.CallNode:
		id, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || id.Value != "field" || len(n.Arguments) != 1 {
			return "", false
		}
		name, ok := n.Arguments[0].(*ast.StringNode)
		if !ok {
			return "", false
		}
		return name.Value, true
	}
	return "", false
}

func (c *compiler) array(n *ast.ArrayNode) (valueFunc, error) {
	parts := make([]valueFunc, len(n.Nodes))
	constants := make([]Value, len(n.Nodes))
	fixed := true
	for i, e := range n.Nodes {
		part, err := c.value(e)
		if err != nil {
			return nil, err
		}
		parts[i] = part
		switch e.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode:
			constants[i] = part(nil)
		default:
			fixed = false
		}
	}
	if fixed {
		return constant(List(constants...)), nil
	}
	return func(s *scope) Value {
		list := make([]Value, len(parts))
		for i, p := range parts {
			list[i] = p(s)
		}
		return List(list...)
	}, nil
}

func (c *compiler) unary(n *ast.UnaryNode) (valueFunc, error) {
	if n.Operator == "not" || n.Operator == "!" {
		f, err := c.boolean(n)
		return boolValue(f), err
	}
	inner, err := c.value(n.Node)
	if err != nil {
		return nil, err
	}
	negative := n.Operator == "-"
	return func(s *scope) Value {
		v := inner(s)
		switch {
		case v.kind == KindInt && negative:
			return Int(-int64(v.num))
		case v.kind == KindFloat && negative:
			return Float(-math.Float64frombits(v.num))
		case v.kind == KindInt, v.kind == KindFloat:
			return v
		}
		return Value{}
	}, nil
}

func boolValue(f boolFunc) valueFunc {
	return func(s *scope) Value { return Bool(f(s)) }
}

func (c *compiler) binary(n *ast.BinaryNode) (valueFunc, error) {
	f, err := c.binaryBool(n)
	if err != nil {
		return nil, err
	}
	if f != nil {
		return boolValue(f), nil
	}
	left, right, err := c.operands(n)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "??":
		return func(s *scope) Value {
			if v := left(s); v.kind != KindMissing && v.kind != KindNull {
				return v
			}
			return right(s)
		}, nil
	case "+", "-", "*", "/", "%", "**", "^":
		op := n.Operator
		return func(s *scope) Value { return arithmetic(op, left(s), right(s)) }, nil
	}
	return nil, errorAt(n, "the operator %s is not available in conditions", n.Operator)
}

// arithmetic is done in floating point but for + - * of integers; text can be
// added to text. Whatever has no result is missing.
func arithmetic(op string, a, b Value) Value {
	if op == "+" && a.kind == KindString && b.kind == KindString {
		if len(a.str)+len(b.str) > conditionTextMax {
			return Value{}
		}
		return String(a.str + b.str)
	}
	if a.kind == KindInt && b.kind == KindInt {
		x, y := int64(a.num), int64(b.num)
		switch {
		case op == "+":
			return Int(x + y)
		case op == "-":
			return Int(x - y)
		case op == "*":
			return Int(x * y)
		case op == "%" && y != 0:
			return Int(x % y)
		}
	}
	x, xok := a.Number()
	y, yok := b.Number()
	if !xok || !yok {
		return Value{}
	}
	var result float64
	switch op {
	case "+":
		result = x + y
	case "-":
		result = x - y
	case "*":
		result = x * y
	case "/":
		result = x / y
	case "%":
		result = math.Mod(x, y)
	default:
		result = math.Pow(x, y)
	}
	if math.IsNaN(result) || math.IsInf(result, 0) {
		return Value{}
	}
	return Float(result)
}

func (c *compiler) conditional(n *ast.ConditionalNode) (valueFunc, error) {
	cond, err := c.boolean(n.Cond)
	if err != nil {
		return nil, err
	}
	yes, err := c.value(n.Exp1)
	if err != nil {
		return nil, err
	}
	no, err := c.value(n.Exp2)
	if err != nil {
		return nil, err
	}
	return func(s *scope) Value {
		if cond(s) {
			return yes(s)
		}
		return no(s)
	}, nil
}

// member compiles list[0], list[-1] and #.name.
func (c *compiler) member(n *ast.MemberNode) (valueFunc, error) {
	inner, err := c.value(n.Node)
	if err != nil {
		return nil, err
	}
	property, err := c.value(n.Property)
	if err != nil {
		return nil, err
	}
	return func(s *scope) Value {
		v, p := inner(s), property(s)
		switch {
		case v.kind == KindList && p.kind == KindInt:
			at := int64(p.num)
			if at < 0 {
				at += int64(len(v.more.list))
			}
			if at >= 0 && at < int64(len(v.more.list)) {
				return v.more.list[at]
			}
		case v.kind == KindObject && p.kind == KindString:
			for _, f := range v.more.fields {
				if f.Name == p.str {
					return f.Value
				}
			}
		}
		return Value{}
	}, nil
}

// nodeName names a part of the language in error messages.
func nodeName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.VariableDeclaratorNode:
		return "let"
	case *ast.SequenceNode:
		return "a sequence with ;"
	case *ast.MapNode:
		return "a map"
	case *ast.SliceNode:
		return "a slice"
	case *ast.CallNode:
		return "a method call"
	case *ast.BytesNode:
		return "a bytes constant"
	case *ast.IdentifierNode:
		return n.Value
	default:
		return "this"
	}
}
