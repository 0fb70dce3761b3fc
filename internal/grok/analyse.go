package grok

import (
	"regexp/syntax"
	"slices"
)

// nullable reports whether a node may match the empty text.
func nullable(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCapture:
		return isLook(re) || nullable(re.Sub[0])
	case syntax.OpPlus:
		return nullable(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || nullable(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !nullable(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, nullable)
	default:
		return true
	}
}

func isLook(re *syntax.Regexp) bool {
	return re.Op == syntax.OpCapture && len(re.Name) > 4 && re.Name[:4] == "look"
}

// beginsLine reports whether a node matches at the beginning of a line only.
func beginsLine(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return !isLook(re) && beginsLine(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if beginsLine(sub) {
				return true
			}
			if sub.Op != syntax.OpEmptyMatch {
				return false
			}
		}
	}
	return false
}

// longestLiteral returns a text that every match contains, "" for none.
func longestLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture:
		if !isLook(re) {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if l := longestLiteral(sub); len(l) > len(best) {
				best = l
			}
		}
		return best
	}
	return ""
}

// findFirst computes for every instruction which bytes a match from there on
// may begin with, going over the code until nothing changes, and from that
// which runs stand alone.
func findFirst(code []instruction) {
	for changed := true; changed; {
		changed = false
		for i := range code {
			in := &code[i]
			first, atEnd := in.first, in.atEnd
			in.grow(code)
			if in.first != first || in.atEnd != atEnd {
				changed = true
			}
		}
	}
	for i := range code {
		in := &code[i]
		if in.op == opRun {
			in.alone = in.class.bytes.disjoint(&code[in.next].first)
		}
	}
}

// grow adds to first what follows from the instructions after this one.
func (in *instruction) grow(code []instruction) {
	switch in.op {
	case opMatch:
		in.first, in.atEnd = fullSet(), true
		return
	case opLiteral:
		if in.text != "" {
			in.first.add(in.text[0])
			return
		}
	case opClass:
		in.first.addAll(&in.class.bytes)
		return
	case opRun, opLazyRun:
		in.first.addAll(&in.class.bytes)
		if in.min > 0 {
			return
		}
	case opSplit, opLoop:
		in.first.addAll(&code[in.other].first)
		in.atEnd = in.atEnd || code[in.other].atEnd
	}
	in.first.addAll(&code[in.next].first)
	in.atEnd = in.atEnd || code[in.next].atEnd
}

// mayBegin reports whether a match from the instruction on may begin at the
// position.
func (in *instruction) mayBegin(s string, at int) bool {
	if at < len(s) {
		return in.first.has(s[at])
	}
	return in.atEnd
}
