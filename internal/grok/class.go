package grok

import (
	"sort"
	"unicode/utf8"
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }

func (s *byteSet) addAll(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *byteSet) disjoint(o *byteSet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] == 0
}

func fullSet() byteSet { return byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)} }

// beyond says which characters past ASCII a class has.
type beyond uint8

const (
	beyondNone beyond = iota
	beyondAll
	beyondSome
)

// class is a set of characters.
type class struct {
	// bytes has the ASCII members, and all bytes from 0x80 on unless beyond is
	// none: the bytes that a member may begin with.
	bytes  byteSet
	beyond beyond
	// ranges are pairs of first and last member, in order.
	ranges []rune
}

func newClass(ranges []rune) *class {
	c := &class{ranges: ranges}
	past, all := false, false
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < utf8.RuneSelf; r++ {
			c.bytes.add(byte(r))
		}
		if ranges[i+1] >= utf8.RuneSelf {
			past = true
		}
		if ranges[i] <= utf8.RuneSelf && ranges[i+1] >= utf8.MaxRune {
			all = true
		}
	}
	if past {
		c.beyond = beyondSome
		c.bytes[2], c.bytes[3] = ^uint64(0), ^uint64(0)
	}
	if all {
		c.beyond = beyondAll
	}
	return c
}

// width returns the length of the member at the position, 0 when there is none.
func (c *class) width(s string, at int) int {
	if at >= len(s) {
		return 0
	}
	b := s[at]
	if !c.bytes.has(b) {
		return 0
	}
	if b < utf8.RuneSelf {
		return 1
	}
	r, n := utf8.DecodeRuneInString(s[at:])
	if c.beyond == beyondAll || c.hasRune(r) {
		return n
	}
	return 0
}

// before reports whether the character that ends at the position is a member.
func (c *class) before(s string, at int) bool {
	if at <= 0 {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(s[:at])
	return c.hasRune(r)
}

func (c *class) hasRune(r rune) bool {
	n := len(c.ranges) / 2
	i := sort.Search(n, func(i int) bool { return c.ranges[2*i+1] >= r })
	return i < n && c.ranges[2*i] <= r
}

// run returns the position after the longest run of members, at most max of
// them (-1 for any number).
func (c *class) run(s string, at, most int) int {
	if c.beyond == beyondNone || (c.beyond == beyondAll && most < 0) {
		end := len(s)
		if most >= 0 && most < end-at {
			end = at + most
		}
		for at < end && c.bytes.has(s[at]) {
			at++
		}
		return at
	}
	for ; most != 0; most-- {
		n := c.width(s, at)
		if n == 0 {
			break
		}
		at += n
	}
	return at
}

// back returns the beginning of the character before the position.
func back(s string, at int) int {
	at--
	if s[at] < utf8.RuneSelf {
		return at
	}
	_, n := utf8.DecodeLastRuneInString(s[:at+1])
	return at + 1 - n
}
