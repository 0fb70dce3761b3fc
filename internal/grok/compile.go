package grok

import (
	"errors"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// instructionsMax bounds the size of a program.
const instructionsMax = 100_000

type opcode uint8

const (
	opMatch opcode = iota
	// opLiteral matches text.
	opLiteral
	// opClass matches one member of class.
	opClass
	// opRun matches from min to max members of class, as many as possible;
	// opLazyRun from min to any number, as few as possible.
	opRun
	opLazyRun
	// opSplit goes to next, and when that fails to other.
	opSplit
	// opMark begins a loop whose body may be empty: it puts the position, with
	// its bits turned around, into mark number slot. opLoop after a turn puts its
	// position into the mark and goes to next for another turn or to other, out
	// of the loop; only out when the first turn was empty, and nowhere when a
	// later one was.
	opMark
	opLoop
	// opCapture remembers the position in slot number.
	opCapture
	// opAssert tests the position.
	opAssert
)

type assertion uint8

const (
	assertBeginLine assertion = iota
	assertEndLine
	assertBeginText
	assertEndText
	assertWordBoundary
	assertNoWordBoundary
	assertAhead
	assertNotAhead
	assertBehind
	assertNotBehind
)

// instruction is one step of a program.
type instruction struct {
	op     opcode
	assert assertion
	// alone says of a run that nothing that may follow begins with a member:
	// only the longest run can be part of a match.
	alone bool
	// lazy says of opLoop that out comes first.
	lazy        bool
	next, other int32
	min, max    int32
	slot        int32
	class       *class
	text        string
	// first are the bytes that a match from here on may begin with; atEnd says
	// that it may also begin, and so end, at the end of the text.
	first byteSet
	atEnd bool
}

// program is a compiled pattern. runs is for the backtracking machine; steps is
// the same without opRun, opLazyRun and opLiteral, for the parallel one.
type program struct {
	runs, steps           []instruction
	runsStart, stepsStart int32
	// slots is twice the number of captures, marks the number of opMark in runs.
	slots, marks int
	// lineStart says that a match begins at the beginning of a line.
	lineStart bool
	// required is a text that every match contains.
	required string
}

// compile makes a program of a regular expression in RE2's syntax whose
// capturing groups are c0, c1, … and look-arounds.
func compile(text string, captures int) (*program, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		if se, ok := errors.AsType[*syntax.Error](err); ok {
			if strings.Contains(se.Expr, "(?") {
				return nil, errorf(0, "%s", se.Code) // what it shows is not what was written
			}
			return nil, errorf(0, "%s: %s", se.Code, se.Expr)
		}
		return nil, errorf(0, "%s", err)
	}
	p := &program{slots: 2 * captures}
	p.lineStart = beginsLine(re)
	p.required = longestLiteral(re)
	c := &compiler{runs: true}
	if p.runsStart, err = c.whole(re); err != nil {
		return nil, err
	}
	p.runs, p.marks = c.code, c.marks
	c = &compiler{}
	if p.stepsStart, err = c.whole(re); err != nil {
		return nil, err
	}
	p.steps = c.code
	findFirst(p.runs)
	return p, nil
}

// compiler builds code from its end: every node is compiled for the
// instruction that follows it.
type compiler struct {
	code []instruction
	// runs says that repetitions of a class become one instruction.
	runs bool
	// marks is the number of opMark.
	marks int
	err   error
}

func (c *compiler) whole(re *syntax.Regexp) (int32, error) {
	start := c.node(re, c.emit(instruction{op: opMatch}))
	return start, c.err
}

func (c *compiler) emit(in instruction) int32 {
	if len(c.code) >= instructionsMax {
		c.fail("the pattern is too large")
		return 0
	}
	c.code = append(c.code, in)
	return int32(len(c.code) - 1)
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = errorf(0, format, args...)
	}
}

// node compiles a node that next follows and returns where it begins.
func (c *compiler) node(re *syntax.Regexp, next int32) int32 {
	if c.err != nil {
		return 0
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return c.emit(instruction{op: opClass, class: newClass(nil), next: next})
	case syntax.OpEmptyMatch:
		return next
	case syntax.OpLiteral:
		return c.literal(re, next)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return c.emit(instruction{op: opClass, class: classOf(re), next: next})
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return c.emit(instruction{op: opAssert, assert: assertionOf(re.Op), next: next})
	case syntax.OpCapture:
		return c.capture(re, next)
	case syntax.OpStar:
		return c.repeat(re.Sub[0], 0, -1, lazy(re), next)
	case syntax.OpPlus:
		return c.repeat(re.Sub[0], 1, -1, lazy(re), next)
	case syntax.OpQuest:
		return c.repeat(re.Sub[0], 0, 1, lazy(re), next)
	case syntax.OpRepeat:
		return c.repeat(re.Sub[0], re.Min, re.Max, lazy(re), next)
	case syntax.OpConcat:
		for _, sub := range slices.Backward(re.Sub) {
			next = c.node(sub, next)
		}
		return next
	case syntax.OpAlternate:
		at := c.node(re.Sub[len(re.Sub)-1], next)
		for i := len(re.Sub) - 2; i >= 0; i-- {
			at = c.emit(instruction{op: opSplit, next: c.node(re.Sub[i], next), other: at})
		}
		return at
	default:
		c.fail("%s is not supported", re)
		return 0
	}
}

func lazy(re *syntax.Regexp) bool { return re.Flags&syntax.NonGreedy != 0 }

func assertionOf(op syntax.Op) assertion {
	switch op {
	case syntax.OpBeginLine:
		return assertBeginLine
	case syntax.OpEndLine:
		return assertEndLine
	case syntax.OpBeginText:
		return assertBeginText
	case syntax.OpEndText:
		return assertEndText
	case syntax.OpWordBoundary:
		return assertWordBoundary
	default:
		return assertNoWordBoundary
	}
}

func (c *compiler) literal(re *syntax.Regexp, next int32) int32 {
	fold := re.Flags&syntax.FoldCase != 0
	if c.runs && !fold {
		return c.emit(instruction{op: opLiteral, text: string(re.Rune), next: next})
	}
	for _, r := range slices.Backward(re.Rune) {
		cl := newClass([]rune{r, r})
		if fold {
			cl = foldedClass(r)
		}
		next = c.emit(instruction{op: opClass, class: cl, next: next})
	}
	return next
}

// foldedClass is a character in all its cases.
func foldedClass(r rune) *class {
	members := []rune{r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		members = append(members, f)
	}
	for i := range members { // insertion sort of at most four
		for j := i; j > 0 && members[j] < members[j-1]; j-- {
			members[j], members[j-1] = members[j-1], members[j]
		}
	}
	var ranges []rune
	for _, m := range members {
		ranges = append(ranges, m, m)
	}
	return newClass(ranges)
}

// classOf returns the class of a node that matches one character; nil for any
// other node.
func classOf(re *syntax.Regexp) *class {
	switch re.Op {
	case syntax.OpCharClass:
		return newClass(re.Rune)
	case syntax.OpAnyChar:
		return newClass([]rune{0, utf8.MaxRune})
	case syntax.OpAnyCharNotNL:
		return newClass([]rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune})
	case syntax.OpLiteral:
		if len(re.Rune) == 1 {
			if re.Flags&syntax.FoldCase != 0 {
				return foldedClass(re.Rune[0])
			}
			return newClass([]rune{re.Rune[0], re.Rune[0]})
		}
	}
	return nil
}

// capture compiles a field's group, or a look-around.
func (c *compiler) capture(re *syntax.Regexp, next int32) int32 {
	if rest, ok := strings.CutPrefix(re.Name, "look"); ok {
		return c.look(re, rest, next)
	}
	n, err := strconv.Atoi(strings.TrimPrefix(re.Name, "c"))
	if err != nil {
		c.fail("a group has the unknown name %q", re.Name)
		return 0
	}
	end := c.emit(instruction{op: opCapture, slot: int32(2*n + 1), next: next})
	return c.emit(instruction{op: opCapture, slot: int32(2 * n), next: c.node(re.Sub[0], end)})
}

func (c *compiler) look(re *syntax.Regexp, name string, next int32) int32 {
	_, kind, _ := strings.Cut(name, "_")
	in := instruction{op: opAssert, next: next, class: classOf(re.Sub[0])}
	if in.class == nil {
		c.fail("look-ahead and look-behind are supported for one character only, for instance (?<![0-9]), not for %s", re.Sub[0])
		return 0
	}
	switch kind {
	case "ahead":
		in.assert = assertAhead
	case "notahead":
		in.assert = assertNotAhead
	case "behind":
		in.assert = assertBehind
	default:
		in.assert = assertNotBehind
	}
	return c.emit(in)
}

// repeat compiles a repetition; most is -1 for any number.
func (c *compiler) repeat(sub *syntax.Regexp, least, most int, lazy bool, next int32) int32 {
	if cl := classOf(sub); cl != nil && c.runs && (!lazy || most < 0) {
		op := opRun
		if lazy {
			op = opLazyRun
		}
		return c.emit(instruction{op: op, class: cl, min: int32(least), max: int32(most), next: next})
	}
	at := next
	switch {
	case most < 0 && least > 0 && nullable(sub):
		at = c.nullablePlus(sub, lazy, next)
		least--
	case most < 0:
		at = c.star(sub, lazy, next)
	default:
		for range most - least {
			at = c.split(c.node(sub, at), next, lazy)
		}
	}
	for range least {
		at = c.node(sub, at)
	}
	return at
}

func (c *compiler) split(body, out int32, lazy bool) int32 {
	in := instruction{op: opSplit, next: body, other: out}
	if lazy {
		in.next, in.other = out, body
	}
	return c.emit(in)
}

// star compiles any number of repetitions of what is not one class.
func (c *compiler) star(sub *syntax.Regexp, lazy bool, next int32) int32 {
	if nullable(sub) {
		return c.split(c.nullablePlus(sub, lazy, next), next, lazy)
	}
	loop := c.emit(instruction{op: opSplit})
	body := c.node(sub, loop)
	if lazy {
		c.code[loop].next, c.code[loop].other = next, body
	} else {
		c.code[loop].next, c.code[loop].other = body, next
	}
	return loop
}

// nullablePlus compiles one or more repetitions of what may be empty. A turn
// that ends where the one before it ended fails, as in Go's regexp package, where
// the loop has been visited at that position.
func (c *compiler) nullablePlus(sub *syntax.Regexp, lazy bool, next int32) int32 {
	slot := int32(c.marks)
	c.marks++
	loop := c.emit(instruction{op: opLoop, slot: slot, lazy: lazy, other: next})
	body := c.node(sub, loop)
	c.code[loop].next = body
	return c.emit(instruction{op: opMark, slot: slot, next: body})
}
