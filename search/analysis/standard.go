// Package analysis turns text into the terms that full-text queries compare:
// Elasticsearch's "standard" analyzer, which is Unicode word segmentation
// (UAX #29) followed by lower-casing.
//
// Bytes are UTF-8; an invalid byte separates words. A Tokenizer belongs to one
// goroutine; it keeps no reference to the text once the next one is set.
//
// Source: UAX #29 word boundaries as Lucene's StandardTokenizer applies them:
// ideographs and Hiragana are words of one character, a token is at most 255
// UTF-16 units long and what is longer is split there.
package analysis

import (
	"unicode"
	"unicode/utf8"
)

// TokenLengthMax is the longest token in UTF-16 code units, "max_token_length"
// of the standard tokenizer.
const TokenLengthMax = 255

// Tokenizer iterates over the terms of one text.
type Tokenizer struct {
	text []byte
	pos  int
	term []byte
	// Start and End are the byte offsets in the text of the latest term.
	Start, End int
}

// Reset begins a new text. The text must stay unchanged while it is iterated.
func (t *Tokenizer) Reset(text []byte) {
	t.text, t.pos, t.Start, t.End = text, 0, 0, 0
}

// Next returns the next term, lower-cased, and false at the end of the text.
// The slice is valid until the next call.
func (t *Tokenizer) Next() ([]byte, bool) {
	for t.pos < len(t.text) {
		if asciiClasses[t.text[t.pos]] == classOther && t.text[t.pos] < utf8.RuneSelf {
			t.pos++
			continue
		}
		class, size := classify(t.text[t.pos:])
		switch class {
		case classLetter, classNumber, classKatakana, classUnderscore:
			if t.scanWord() {
				return t.lower(), true
			}
		case classSingle:
			t.Start = t.pos
			t.pos = skipExtend(t.text, t.pos+size)
			t.End = t.pos
			return t.lower(), true
		case classComplex, classComplexMark, classEmoji, classFlag:
			t.Start = t.pos
			if class == classEmoji || class == classFlag {
				t.pos = t.scanPicture(class, t.pos+size)
			} else {
				t.pos = t.scanComplex(t.pos)
			}
			t.End = t.pos
			return t.lower(), true
		default:
			t.pos += size
		}
	}
	return nil, false
}

// scanWord reads a word of letters, digits and underscores from t.pos. It is
// false, with t.pos moved on, where there are only underscores.
func (t *Tokenizer) scanWord() bool {
	t.Start = t.pos
	units, hasWord := 0, false
	previous := classOther
	at := t.pos
	for at < len(t.text) {
		if previous != classKatakana {
			if run, last := plainRun(t.text[at:], TokenLengthMax-units); run > 0 {
				hasWord = hasWord || last != classUnderscore || !allUnderscores(t.text[at:at+run])
				units, at, previous = units+run, skipExtend(t.text, at+run), last
				continue
			}
		}
		class, size := classify(t.text[at:])
		next := -1
		switch {
		case joins(previous, class):
			next = skipExtend(t.text, at+size)
		case isMiddle(class):
			after := skipExtend(t.text, at+size)
			if !t.bridges(previous, class, after) {
				break
			}
			// Only as far as the separator; the word goes on in the next turn.
			next = after
			class = previous
		}
		if next < 0 {
			break
		}
		unit := unitsOf(t.text[at:next])
		if hasWord && units+unit > TokenLengthMax {
			break
		}
		units += unit
		hasWord = hasWord || class != classUnderscore
		previous = class
		at = next
	}
	t.pos, t.End = at, at
	return hasWord
}

// plainRun returns how many ASCII letters, digits and underscores the text begins with, up to
// the limit, and the class of the last.
func plainRun(text []byte, limit int) (int, class) {
	n := 0
	for n < len(text) && n < limit {
		c := asciiClasses[text[n]]
		if c != classLetter && c != classNumber && c != classUnderscore {
			break
		}
		n++
	}
	if n == 0 {
		return 0, classOther
	}
	return n, asciiClasses[text[n-1]]
}

func allUnderscores(text []byte) bool {
	for _, c := range text {
		if c != '_' {
			return false
		}
	}
	return true
}

// bridges reports whether a separator of the class stands between two
// letters or two digits (WB6, WB7, WB11, WB12).
func (t *Tokenizer) bridges(previous, separator class, after int) bool {
	if after >= len(t.text) {
		return false
	}
	following, _ := classify(t.text[after:])
	switch previous {
	case classLetter:
		return following == classLetter && separator != classMidNum
	case classNumber:
		return following == classNumber && separator != classMidLetter
	default:
		return false
	}
}

// scanPicture reads what belongs to a picture: marks, pictures after a joiner, the
// second half of a flag.
func (t *Tokenizer) scanPicture(first class, at int) int {
	const joiner = "\u200d"
	if first == classFlag {
		if at < len(t.text) {
			if class, size := classify(t.text[at:]); class == classFlag {
				at += size
			}
		}
		return skipExtend(t.text, at)
	}
	for {
		at = skipExtend(t.text, at)
		if at >= len(t.text) || at < len(joiner) || string(t.text[at-len(joiner):at]) != joiner {
			return at
		}
		class, size := classify(t.text[at:])
		if class != classEmoji {
			return at
		}
		at += size
	}
}

func (t *Tokenizer) scanComplex(at int) int {
	for at < len(t.text) {
		class, size := classify(t.text[at:])
		if class != classComplex && class != classExtend && class != classComplexMark {
			break
		}
		at += size
	}
	return at
}

func (t *Tokenizer) lower() []byte {
	word := t.text[t.Start:t.End]
	t.term = AppendLower(t.term[:0], word)
	return t.term
}

// AppendLower appends text in lower case, one code point at a time as Lucene's
// LowerCaseFilter does it.
func AppendLower(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// Terms returns the terms of a text as new strings.
func Terms(text string) []string {
	var t Tokenizer
	t.Reset([]byte(text))
	var terms []string
	for term, ok := t.Next(); ok; term, ok = t.Next() {
		terms = append(terms, string(term))
	}
	return terms
}

func skipExtend(text []byte, at int) int {
	for at < len(text) && text[at] >= utf8.RuneSelf {
		class, size := classify(text[at:])
		if class != classExtend && class != classComplexMark {
			break
		}
		at += size
	}
	return at
}

// unitsOf counts UTF-16 code units.
func unitsOf(text []byte) int {
	units := 0
	for _, c := range text {
		switch {
		case c < 0x80 || c >= 0xC0 && c < 0xF0:
			units++
		case c >= 0xF0:
			units += 2
		}
	}
	return units
}
