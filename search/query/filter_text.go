package query

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/millrace/millrace/search/analysis"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// wordFilter keeps the rows whose text has a word or, with several, the phrase of
// them in their order.
type wordFilter struct {
	field *mapping.Field
	// words are as the analyzer makes them.
	words [][]byte
	// rarest is the longest word, which is looked for first.
	rarest []byte
}

func newWordFilter(field *mapping.Field, words [][]byte) Filter {
	f := &wordFilter{field: field, words: words}
	for _, w := range words {
		if len(w) > len(f.rarest) {
			f.rarest = w
		}
	}
	return f
}

// Apply implements [Filter].
func (f *wordFilter) Apply(b Rows, rows column.Bitmap) error {
	for _, word := range f.words {
		may, err := b.MayHave(f.field, word, false)
		if err != nil {
			return err
		}
		if !may {
			clear(rows)
			return nil
		}
	}
	c, err := b.Column(f.field)
	if err != nil {
		return err
	}
	m := wordMatcher{filter: f}
	if c == nil || c.Codes != nil {
		matchValues(c, rows, m.matches)
		return nil
	}
	lower, ascii := b.Lower(f.field, c)
	hits := m.scan(c, lower, ascii)
	for row := range rows.Rows {
		if !anyValue(c, row, hits.Has) {
			rows.Clear(row)
		}
	}
	return nil
}

func (f *wordFilter) cost() int { return 20 }

// wordMatcher checks single values.
type wordMatcher struct {
	filter    *wordFilter
	tokenizer analysis.Tokenizer
	recent    [][]byte
}

// scan returns the values that match. It looks for the bytes of the rarest word in
// all values at once; only where they occur a value is looked at.
func (m *wordMatcher) scan(c *column.Column, lower []byte, ascii bool) column.Bitmap {
	hits := column.NewBitmap(c.Len())
	base := int(c.Starts[0])
	at := 0
	for {
		i := bytes.Index(lower[at:], m.filter.rarest)
		if i < 0 {
			break
		}
		at += i
		value := sort.Search(c.Len(), func(v int) bool { return int(c.Starts[v+1])-base > at })
		start, end := int(c.Starts[value])-base, int(c.Starts[value+1])-base
		switch {
		case at+len(m.filter.rarest) > end:
			at++ // over the border of two values
			continue
		case len(m.filter.words) == 1 && ascii && end-start <= analysis.TokenLengthMax:
			switch boundary(lower[start:end], at-start, len(m.filter.rarest)) {
			case boundaryNo:
				at++
				continue
			case boundaryYes:
				hits.Set(value)
			default:
				if m.matches(c.Bytes(value)) {
					hits.Set(value)
				}
			}
		default:
			if m.matches(c.Bytes(value)) {
				hits.Set(value)
			}
		}
		at = end
	}
	if !ascii {
		m.scanOther(c, hits)
	}
	return hits
}

// scanOther looks at the values that are not ASCII, whose lower case may differ in more
// than the bytes that were looked for.
func (m *wordMatcher) scanOther(c *column.Column, hits column.Bitmap) {
	for v := range c.Len() {
		value := c.Bytes(v)
		if !hits.Has(v) && !isASCII(value) && m.matches(value) {
			hits.Set(v)
		}
	}
}

func isASCII(v []byte) bool {
	for _, c := range v {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// matches reads the words of a value.
func (m *wordMatcher) matches(v []byte) bool {
	words := m.filter.words
	m.tokenizer.Reset(v)
	if len(words) == 1 {
		for word, ok := m.tokenizer.Next(); ok; word, ok = m.tokenizer.Next() {
			if bytes.Equal(word, words[0]) {
				return true
			}
		}
		return false
	}
	return m.matchesPhrase(words)
}

// matchesPhrase keeps as many of the latest words as the phrase has.
func (m *wordMatcher) matchesPhrase(words [][]byte) bool {
	if len(m.recent) != len(words) {
		m.recent = make([][]byte, len(words))
	}
	count := 0
	for word, ok := m.tokenizer.Next(); ok; word, ok = m.tokenizer.Next() {
		slot := count % len(words)
		m.recent[slot] = append(m.recent[slot][:0], word...)
		count++
		if count < len(words) || !bytes.Equal(word, words[len(words)-1]) {
			continue
		}
		same := true
		for i := range words {
			if !bytes.Equal(m.recent[(count+i)%len(words)], words[i]) {
				same = false
				break
			}
		}
		if same {
			return true
		}
	}
	return false
}

const (
	boundaryNo = iota
	boundaryYes
	boundaryUnclear
)

// boundary says whether the bytes at a place of ASCII text are a word: their
// neighbours decide, but for those that may stand inside a word.
func boundary(v []byte, at, length int) int {
	result := boundaryYes
	for _, i := range [2]int{at - 1, at + length} {
		if i < 0 || i >= len(v) {
			continue
		}
		switch c := v[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
			return boundaryNo
		case c == '.', c == '\'', c == ':', c == ',', c == ';':
			result = boundaryUnclear
		}
	}
	return result
}

// anyWordFilter keeps the rows whose text has a word that matches.
type anyWordFilter struct {
	field *mapping.Field
	match func(word []byte) bool
	// literal is text that every word which matches has in it; it may be empty.
	literal []byte
}

// literalMin is the shortest literal that is worth looking for.
const literalMin = 2

// Apply implements [Filter].
func (f *anyWordFilter) Apply(b Rows, rows column.Bitmap) error {
	c, err := b.Column(f.field)
	if err != nil {
		return err
	}
	var t analysis.Tokenizer
	matches := func(v []byte) bool {
		t.Reset(v)
		for word, ok := t.Next(); ok; word, ok = t.Next() {
			if f.match(word) {
				return true
			}
		}
		return false
	}
	if c == nil || c.Codes != nil || len(f.literal) < literalMin {
		matchValues(c, rows, matches)
		return nil
	}
	lower, ascii := b.Lower(f.field, c)
	hits := scanLiteral(c, lower, f.literal, matches)
	for row := range rows.Rows {
		test := func(i int) bool { return hits.Has(i) || !ascii && !isASCII(c.Bytes(i)) && matches(c.Bytes(i)) }
		if !anyValue(c, row, test) {
			rows.Clear(row)
		}
	}
	return nil
}

// scanLiteral returns the values that have the literal in them, in lower case, and match.
func scanLiteral(c *column.Column, lower, literal []byte, matches func(v []byte) bool) column.Bitmap {
	hits := column.NewBitmap(c.Len())
	base, at := int(c.Starts[0]), 0
	for {
		i := bytes.Index(lower[at:], literal)
		if i < 0 {
			return hits
		}
		at += i
		value := sort.Search(c.Len(), func(v int) bool { return int(c.Starts[v+1])-base > at })
		end := int(c.Starts[value+1]) - base
		if at+len(literal) > end {
			at++ // over the border of two values
			continue
		}
		if matches(c.Bytes(value)) {
			hits.Set(value)
		}
		at = end
	}
}

func (f *anyWordFilter) cost() int { return 60 }

// analyze returns the words of a text.
func analyze(text string) [][]byte {
	var words [][]byte
	for _, term := range analysis.Terms(text) {
		words = append(words, []byte(term))
	}
	return words
}
