package grok

import "strings"

// The backtracking machine may do workBase + workPerByte × length steps on a
// text before the parallel machine takes over. A line that a pattern was written
// for needs about one step for every few bytes.
const (
	workBase    = 10_000
	workPerByte = 32
	// scanShift is how many bytes of a run count as one step, as a power of two.
	scanShift = 4
)

// machine holds what a match needs, to be used again.
type machine struct {
	text string
	// slots are the positions of the captures, -1 for none.
	slots []int
	marks []int
	stack []frame
	work  int
	par   parallel
}

type frameKind uint8

const (
	// frameBranch goes on at pc from position at.
	frameBranch frameKind = iota
	// frameRun gives characters back: the run at pc has ended at position at,
	// and may end as early as least.
	frameRun
	// frameLazy takes one more character: the run at pc has ended at position at.
	frameLazy
	// frameSlot and frameMark restore a slot or mark to at.
	frameSlot
	frameMark
)

// frame is a choice to come back to, or a value to restore on the way.
type frame struct {
	kind  frameKind
	pc    int32
	at    int
	least int
}

// match looks for the program in the text and fills slots.
func (m *machine) match(p *program, text string) bool {
	m.text = text
	m.work = workBase + workPerByte*len(text)
	m.marks = resized(m.marks, p.marks)
	m.slots = resized(m.slots, p.slots)
	for i := range m.slots {
		m.slots[i] = -1 // and so they are again after every try that fails
	}
	for start := 0; start <= len(text); start++ {
		start = p.nextStart(text, start)
		if start < 0 {
			return false
		}
		if m.backtrack(p, start) {
			return true
		}
		if m.work < 0 {
			return m.par.match(p, text, start, m.slots)
		}
	}
	return false
}

func resized(s []int, n int) []int {
	if cap(s) < n {
		return make([]int, n)
	}
	return s[:n]
}

// nextStart returns the next position at which a match may begin, -1 for none.
func (p *program) nextStart(text string, at int) int {
	begin := &p.runs[p.runsStart]
	for ; at <= len(text); at++ {
		if p.lineStart && at > 0 && text[at-1] != '\n' {
			n := strings.IndexByte(text[at:], '\n')
			if n < 0 {
				return -1
			}
			at += n
			continue
		}
		if begin.mayBegin(text, at) && (at == len(text) || text[at]&0xC0 != 0x80) {
			return at
		}
	}
	return -1
}

// backtrack runs the program from one position. It returns false also when the
// work is used up.
func (m *machine) backtrack(p *program, at int) bool {
	code, s := p.runs, m.text
	pc := p.runsStart
	m.stack = m.stack[:0]
	for {
		m.work--
		if m.work < 0 {
			return false
		}
		in := &code[pc]
		ok := true
		switch in.op {
		case opMatch:
			return true
		case opLiteral:
			if ok = strings.HasPrefix(s[at:], in.text); ok {
				at += len(in.text)
				pc = in.next
			}
		case opClass:
			n := in.class.width(s, at)
			ok = n > 0
			at += n
			pc = in.next
		case opRun:
			at, ok = m.run(code, pc, at)
			pc = in.next
		case opLazyRun:
			at, ok = m.lazyRun(code, pc, at)
			pc = in.next
		case opSplit:
			pc, ok = m.split(code, in.next, in.other, at)
		case opMark:
			m.stack = append(m.stack, frame{kind: frameMark, pc: in.slot, at: m.marks[in.slot]})
			m.marks[in.slot] = ^at
			pc = in.next
		case opLoop:
			pc, ok = m.loop(code, in, at)
		case opCapture:
			m.stack = append(m.stack, frame{kind: frameSlot, pc: in.slot, at: m.slots[in.slot]})
			m.slots[in.slot] = at
			pc = in.next
		case opAssert:
			ok = in.holds(s, at)
			pc = in.next
		}
		if ok {
			continue
		}
		if pc, at, ok = m.back(code); !ok {
			return false
		}
	}
}

// split chooses by the next byte where it can, and remembers the other way
// where both are possible.
func (m *machine) split(code []instruction, first, second int32, at int) (int32, bool) {
	if !code[first].mayBegin(m.text, at) {
		return second, code[second].mayBegin(m.text, at)
	}
	if code[second].mayBegin(m.text, at) {
		m.stack = append(m.stack, frame{kind: frameBranch, pc: second, at: at})
	}
	return first, true
}

// loop is the choice after one turn of a loop whose body may be empty.
func (m *machine) loop(code []instruction, in *instruction, at int) (int32, bool) {
	before := m.marks[in.slot]
	if before == at {
		return 0, false
	}
	m.stack = append(m.stack, frame{kind: frameMark, pc: in.slot, at: before})
	m.marks[in.slot] = at
	if before == ^at {
		return in.other, true
	}
	if in.lazy {
		return m.split(code, in.other, in.next, at)
	}
	return m.split(code, in.next, in.other, at)
}

// run takes the longest run after which the program may go on, and remembers
// the shorter ones.
func (m *machine) run(code []instruction, pc int32, at int) (int, bool) {
	in := &code[pc]
	end := in.class.run(m.text, at, int(in.max))
	m.work -= (end - at) >> scanShift
	least := at
	for range in.min {
		n := 0
		if least < end {
			n = in.class.width(m.text, least)
		}
		if n == 0 {
			return at, false
		}
		least += n
	}
	if in.alone {
		return end, code[in.next].mayBegin(m.text, end)
	}
	return m.giveBack(code, pc, end, least)
}

// giveBack finds the longest run that ends at or before a position.
func (m *machine) giveBack(code []instruction, pc int32, end, least int) (int, bool) {
	next := &code[code[pc].next]
	at := end
	for !next.mayBegin(m.text, at) {
		if at <= least {
			return at, false
		}
		at = back(m.text, at)
	}
	m.work -= (end - at) >> scanShift
	if at > least {
		m.stack = append(m.stack, frame{kind: frameRun, pc: pc, at: at, least: least})
	}
	return at, true
}

// lazyRun takes the shortest run after which the program may go on.
func (m *machine) lazyRun(code []instruction, pc int32, at int) (int, bool) {
	in := &code[pc]
	for range in.min {
		n := in.class.width(m.text, at)
		if n == 0 {
			return at, false
		}
		at += n
	}
	return m.takeMore(code, pc, at)
}

// takeMore finds the shortest run that ends at or after a position.
func (m *machine) takeMore(code []instruction, pc int32, at int) (int, bool) {
	in := &code[pc]
	next := &code[in.next]
	start := at
	for !next.mayBegin(m.text, at) {
		n := in.class.width(m.text, at)
		if n == 0 {
			return at, false
		}
		at += n
	}
	m.work -= (at - start) >> scanShift
	m.stack = append(m.stack, frame{kind: frameLazy, pc: pc, at: at})
	return at, true
}

// back returns to the last choice.
func (m *machine) back(code []instruction) (pc int32, at int, ok bool) {
	for len(m.stack) > 0 {
		f := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		m.work--
		switch f.kind {
		case frameSlot:
			m.slots[f.pc] = f.at
		case frameMark:
			m.marks[f.pc] = f.at
		case frameBranch:
			return f.pc, f.at, true
		case frameRun:
			if at, ok := m.giveBack(code, f.pc, back(m.text, f.at), f.least); ok {
				return code[f.pc].next, at, true
			}
		case frameLazy:
			if n := code[f.pc].class.width(m.text, f.at); n > 0 {
				if at, ok := m.takeMore(code, f.pc, f.at+n); ok {
					return code[f.pc].next, at, true
				}
			}
		}
	}
	return 0, 0, false
}

// holds tests an assertion at a position.
func (in *instruction) holds(s string, at int) bool {
	switch in.assert {
	case assertBeginLine:
		return at == 0 || s[at-1] == '\n'
	case assertEndLine:
		return at == len(s) || s[at] == '\n'
	case assertBeginText:
		return at == 0
	case assertEndText:
		return at == len(s)
	case assertWordBoundary:
		return isBoundary(s, at)
	case assertNoWordBoundary:
		return !isBoundary(s, at)
	case assertAhead:
		return in.class.width(s, at) > 0
	case assertNotAhead:
		return in.class.width(s, at) == 0
	case assertBehind:
		return in.class.before(s, at)
	default:
		return !in.class.before(s, at)
	}
}

func isBoundary(s string, at int) bool {
	before := at > 0 && isWordByte(s[at-1])
	after := at < len(s) && isWordByte(s[at])
	return before != after
}
