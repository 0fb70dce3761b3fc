package query

import (
	"bytes"
	"unicode/utf8"

	"github.com/millrace/millrace/search/analysis"
)

// pattern is a wildcard pattern: * for any text, ? for one character, \ before
// a character that stands for itself.
type pattern struct {
	tokens []wildcardToken
	fold   bool
}

type wildcardToken struct {
	kind byte // '*', '?' or 0 for a literal
	text []byte
}

func compileWildcard(text string, fold bool) *pattern {
	p := &pattern{fold: fold}
	literal := func(c byte) {
		if n := len(p.tokens); n > 0 && p.tokens[n-1].kind == 0 {
			p.tokens[n-1].text = append(p.tokens[n-1].text, c)
			return
		}
		p.tokens = append(p.tokens, wildcardToken{text: []byte{c}})
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			literal(text[i])
		case c == '*':
			if n := len(p.tokens); n == 0 || p.tokens[n-1].kind != '*' {
				p.tokens = append(p.tokens, wildcardToken{kind: '*'})
			}
		case c == '?':
			p.tokens = append(p.tokens, wildcardToken{kind: '?'})
		default:
			literal(c)
		}
	}
	if fold {
		for i := range p.tokens {
			p.tokens[i].text = analysis.AppendLower(nil, p.tokens[i].text)
		}
	}
	return p
}

// literal returns the longest text that all matches have in them.
func (p *pattern) literal() []byte {
	var longest []byte
	for _, t := range p.tokens {
		if len(t.text) > len(longest) {
			longest = t.text
		}
	}
	return longest
}

func (p *pattern) match(v []byte) bool {
	if p.fold {
		v = analysis.AppendLower(nil, v)
	}
	// The usual walk with one point of return: the latest star.
	token, at := 0, 0
	star, starAt := -1, 0
	for {
		if token < len(p.tokens) {
			t := p.tokens[token]
			switch {
			case t.kind == '*':
				star, starAt = token, at
				token++
				continue
			case t.kind == '?' && at < len(v):
				_, size := utf8.DecodeRune(v[at:])
				at += size
				token++
				continue
			case t.kind == 0 && bytes.HasPrefix(v[at:], t.text):
				at += len(t.text)
				token++
				continue
			}
		} else if at == len(v) {
			return true
		}
		if star < 0 || starAt >= len(v) {
			return false
		}
		_, size := utf8.DecodeRune(v[starAt:])
		starAt += size
		token, at = star+1, starAt
	}
}
