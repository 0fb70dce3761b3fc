package query

import (
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/search/apierror"
)

// Tokens of Lucene's classic query syntax (QueryParser.jj).
type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenAnd
	tokenOr
	tokenNot
	tokenPlus
	tokenMinus
	tokenBareOperator
	tokenOpen
	tokenClose
	tokenColon
	tokenStar
	tokenBoost
	tokenQuoted
	tokenTerm
	tokenFuzzy
	tokenPrefix
	tokenWild
	tokenRegexp
	tokenRange
)

type luceneToken struct {
	kind tokenKind
	// text is the token as written; of a quoted one without its quotes.
	text string
	// of a range
	from, to               string
	fromQuoted, toQuoted   bool
	includeFrom, includeTo bool
	at                     int
}

// luceneTokensMax bounds the tokens of one query.
const luceneTokensMax = 8192

// tokenizeLucene splits a query. Errors say where.
func tokenizeLucene(query string) ([]luceneToken, error) {
	var tokens []luceneToken
	rest := query
	for {
		rest = strings.TrimLeft(rest, " \t\n\r\u3000")
		at := len(query) - len(rest)
		if rest == "" {
			return append(tokens, luceneToken{kind: tokenEnd, at: at}), nil
		}
		token, size, ok := nextLucene(rest)
		if !ok {
			return nil, apierror.New("parse_exception", "Lexical error at line 1, column %d", at+1)
		}
		token.at = at
		if tokens = append(tokens, token); len(tokens) > luceneTokensMax {
			return nil, apierror.New("parse_exception", "more than %d terms and operators", luceneTokensMax)
		}
		rest = rest[size:]
	}
}

// nextLucene reads one token; the longest wins.
func nextLucene(s string) (luceneToken, int, bool) {
	switch c := s[0]; c {
	case '(':
		return luceneToken{kind: tokenOpen}, 1, true
	case ')':
		return luceneToken{kind: tokenClose}, 1, true
	case ':':
		return luceneToken{kind: tokenColon}, 1, true
	case '^':
		return luceneToken{kind: tokenBoost, text: number(s[1:])}, 1 + len(number(s[1:])), true
	case '~':
		return luceneToken{kind: tokenFuzzy, text: number(s[1:])}, 1 + len(number(s[1:])), true
	case '"':
		return quoted(s)
	case '/':
		return regexpToken(s)
	case '[', '{':
		return rangeToken(s)
	case '+', '-', '!':
		return operatorToken(s)
	}
	if strings.HasPrefix(s, "&&") && !continues(s[2:]) {
		return luceneToken{kind: tokenAnd}, 2, true
	}
	if strings.HasPrefix(s, "||") && !continues(s[2:]) {
		return luceneToken{kind: tokenOr}, 2, true
	}
	return word(s)
}

func operatorToken(s string) (luceneToken, int, bool) {
	if len(s) > 1 && strings.ContainsRune(" \t\n\r", rune(s[1])) {
		return luceneToken{kind: tokenBareOperator, text: s[:1]}, 2, true
	}
	kinds := map[byte]tokenKind{'+': tokenPlus, '-': tokenMinus, '!': tokenNot}
	return luceneToken{kind: kinds[s[0]]}, 1, true
}

func number(s string) string {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.' && n > 0) {
		n++
	}
	return s[:n]
}

func quoted(s string) (luceneToken, int, bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return luceneToken{kind: tokenQuoted, text: s[1:i]}, i + 1, true
		}
	}
	return luceneToken{}, 0, false
}

func regexpToken(s string) (luceneToken, int, bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '/':
			return luceneToken{kind: tokenRegexp, text: strings.ReplaceAll(s[1:i], `\/`, "/")}, i + 1, true
		}
	}
	return luceneToken{}, 0, false
}

// isTermStart says whether a character can begin a term.
func isTermStart(c byte) bool {
	return !strings.ContainsRune(" \t\n\r+-!():^[]\"{}~*?\\/", rune(c))
}

func continues(s string) bool {
	return s != "" && (isTermStart(s[0]) || strings.ContainsRune(`-+*?\`, rune(s[0]))) && !strings.HasPrefix(s, "\u3000")
}

// word reads a term, a term with wildcards, or AND, OR, NOT.
func word(s string) (luceneToken, int, bool) {
	end, stars, questions := 0, 0, 0
	for end < len(s) {
		c := s[end]
		switch {
		case strings.HasPrefix(s[end:], "\u3000"):
			return finishWord(s, end, stars, questions)
		case c == '\\':
			if end+1 >= len(s) {
				return luceneToken{}, 0, false
			}
			_, size := utf8.DecodeRuneInString(s[end+1:])
			end += 1 + size
			continue
		case c == '*':
			stars++
		case c == '?':
			questions++
		case isTermStart(c), (c == '-' || c == '+') && end > 0:
		default:
			return finishWord(s, end, stars, questions)
		}
		end++
	}
	return finishWord(s, end, stars, questions)
}

func finishWord(s string, end, stars, questions int) (luceneToken, int, bool) {
	text := s[:end]
	switch {
	case end == 0:
		return luceneToken{}, 0, false
	case text == "*":
		return luceneToken{kind: tokenStar, text: text}, end, true
	case stars == 1 && questions == 0 && strings.HasSuffix(text, "*"):
		return luceneToken{kind: tokenPrefix, text: text}, end, true
	case stars+questions > 0:
		return luceneToken{kind: tokenWild, text: text}, end, true
	case text == "AND":
		return luceneToken{kind: tokenAnd}, end, true
	case text == "OR":
		return luceneToken{kind: tokenOr}, end, true
	case text == "NOT":
		return luceneToken{kind: tokenNot}, end, true
	default:
		return luceneToken{kind: tokenTerm, text: text}, end, true
	}
}

// rangeToken reads [a TO b], {a TO b} and their mixtures.
func rangeToken(s string) (luceneToken, int, bool) {
	t := luceneToken{kind: tokenRange, includeFrom: s[0] == '['}
	at := 1
	var ends []string
	var quotes []bool
	for at < len(s) {
		switch c := s[at]; {
		case strings.ContainsRune(" \t\n\r", rune(c)):
			at++
		case c == ']' || c == '}':
			t.includeTo = c == ']'
			if len(ends) == 3 && ends[1] == "TO" && !quotes[1] {
				ends, quotes = []string{ends[0], ends[2]}, []bool{quotes[0], quotes[2]}
			}
			if len(ends) != 2 {
				return t, 0, false
			}
			t.from, t.to, t.fromQuoted, t.toQuoted = ends[0], ends[1], quotes[0], quotes[1]
			return t, at + 1, true
		case c == '"':
			token, size, ok := quoted(s[at:])
			if !ok {
				return t, 0, false
			}
			ends, quotes = append(ends, token.text), append(quotes, true)
			at += size
		default:
			end := at
			for end < len(s) && !strings.ContainsRune(" \t\n\r]}", rune(s[end])) {
				end++
			}
			ends, quotes = append(ends, s[at:end]), append(quotes, false)
			at = end
		}
		if len(ends) > 3 {
			return t, 0, false
		}
	}
	return t, 0, false
}

// unescape removes backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
