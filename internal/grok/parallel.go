package grok

import "unicode/utf8"

// parallel is Pike's machine: it follows all choices at once, one character
// after the other, so that the work is at most the size of the program times
// the length of the text. It is slower on ordinary lines and takes over when
// backtracking gets lost.
type parallel struct {
	now, next threads
	stack     []addition
}

// threads is a list of instructions in order of preference, each with its
// captures; a sparse set tells which are in it.
type threads struct {
	dense  []thread
	sparse []int32
	slots  []int
}

type thread struct {
	pc int32
	// slots is where its captures begin; -1 for an instruction that only led
	// to others.
	slots int
}

// addition is an instruction to be added, or a slot to be restored.
type addition struct {
	pc   int32
	slot int32
	old  int
}

func (t *threads) clear(instructions int) {
	t.dense, t.slots = t.dense[:0], t.slots[:0]
	if len(t.sparse) < instructions {
		t.sparse = make([]int32, instructions)
	}
}

func (t *threads) has(pc int32) bool {
	i := int(t.sparse[pc])
	return i < len(t.dense) && t.dense[i].pc == pc
}

// match looks for the leftmost match that begins at start or after it.
func (v *parallel) match(p *program, text string, start int, slots []int) bool {
	v.now.clear(len(p.steps))
	v.next.clear(len(p.steps))
	current := make([]int, p.slots)
	matched := false
	for at := start; at <= len(text); {
		if !matched && p.mayStart(text, at) {
			for i := range current {
				current[i] = -1
			}
			v.add(p, &v.now, p.stepsStart, text, at, current)
		}
		if len(v.now.dense) == 0 && matched {
			break
		}
		width := 1
		if at < len(text) && text[at] >= utf8.RuneSelf {
			_, width = utf8.DecodeRuneInString(text[at:])
		}
		if v.step(p, text, at, current, slots) {
			matched = true
		}
		v.now, v.next = v.next, v.now
		v.next.clear(len(p.steps))
		at += width
	}
	return matched
}

func (p *program) mayStart(text string, at int) bool {
	return !p.lineStart || at == 0 || text[at-1] == '\n'
}

// step moves every thread over the character at the position. It returns true
// when one has matched; those of less preference end then.
func (v *parallel) step(p *program, text string, at int, current, slots []int) bool {
	for _, t := range v.now.dense {
		if t.slots < 0 {
			continue
		}
		own := v.now.slots[t.slots : t.slots+p.slots]
		in := &p.steps[t.pc]
		switch in.op {
		case opMatch:
			copy(slots, own)
			return true
		case opClass:
			if n := in.class.width(text, at); n > 0 {
				copy(current, own)
				v.add(p, &v.next, in.next, text, at+n, current)
			}
		}
	}
	return false
}

// add adds an instruction with all that it leads to without a character. current
// is the captures up to here; it is as it was on return.
func (v *parallel) add(p *program, list *threads, pc int32, text string, at int, current []int) {
	v.stack = append(v.stack[:0], addition{pc: pc, slot: -1})
	for len(v.stack) > 0 {
		a := v.stack[len(v.stack)-1]
		v.stack = v.stack[:len(v.stack)-1]
		if a.slot >= 0 {
			current[a.slot] = a.old
			continue
		}
		if list.has(a.pc) {
			continue
		}
		list.sparse[a.pc] = int32(len(list.dense))
		list.dense = append(list.dense, thread{pc: a.pc, slots: -1})
		in := &p.steps[a.pc]
		switch in.op {
		case opMatch, opClass:
			list.dense[len(list.dense)-1].slots = len(list.slots)
			list.slots = append(list.slots, current...)
		case opSplit:
			v.stack = append(v.stack, addition{pc: in.other, slot: -1}, addition{pc: in.next, slot: -1})
		case opLoop:
			first, second := in.next, in.other
			if in.lazy {
				first, second = second, first
			}
			v.stack = append(v.stack, addition{pc: second, slot: -1}, addition{pc: first, slot: -1})
		case opMark:
			v.stack = append(v.stack, addition{pc: in.next, slot: -1})
		case opCapture:
			v.stack = append(v.stack, addition{slot: in.slot, old: current[in.slot]}, addition{pc: in.next, slot: -1})
			current[in.slot] = at
		case opAssert:
			if in.holds(text, at) {
				v.stack = append(v.stack, addition{pc: in.next, slot: -1})
			}
		}
	}
}
