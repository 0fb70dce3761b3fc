package query

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/search/apierror"
)

// lucene parses Lucene's classic query syntax into filters, with the meaning
// that Elasticsearch's query_string gives to it: words without an operator between them
// are one text, as with split_on_whitespace=false.
type lucene struct {
	tokens []luceneToken
	next   int
	depth  int
	leaf   *luceneLeaf
	and    bool // default_operator
}

type occur int

const (
	occurShould occur = iota
	occurMust
	occurNot
)

type clause struct {
	filter Filter
	occur  occur
}

type conjunction int

const (
	conjunctionNone conjunction = iota
	conjunctionAnd
	conjunctionOr
)

func (p *lucene) peek() luceneToken { return p.tokens[p.next] }

func (p *lucene) ahead(n int) luceneToken {
	return p.tokens[min(p.next+n, len(p.tokens)-1)]
}

func (p *lucene) take() luceneToken {
	t := p.tokens[p.next]
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

// parse reads a whole query. A nil filter is a query without any word.
func (p *lucene) parse() (Filter, error) {
	if p.peek().kind == tokenEnd {
		return nil, nil
	}
	f, err := p.query("")
	if err != nil {
		return nil, err
	}
	if p.peek().kind != tokenEnd {
		return nil, p.unexpected()
	}
	return f, nil
}

func (p *lucene) unexpected() error {
	t := p.peek()
	what := "\"" + t.text + "\""
	if t.kind == tokenEnd {
		what = "\"<EOF>\""
	}
	return apierror.New("parse_exception", "Encountered %s at line 1, column %d.", what, t.at)
}

func (p *lucene) query(field string) (Filter, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > 100 {
		return nil, apierror.New("parse_exception", "nested too deeply")
	}
	var clauses []clause
	for first := true; ; first = false {
		if kind := p.peek().kind; kind == tokenEnd || kind == tokenClose {
			if first {
				return nil, p.unexpected()
			}
			return p.boolean(clauses), nil
		}
		if text, ok := p.multiTerm(); ok {
			f, err := p.leaf.text(field, text, false)
			if err != nil {
				return nil, err
			}
			if f != nil {
				clauses = append(clauses, clause{f, p.defaultOccur()})
			}
			continue
		}
		conj := p.conjunction(first)
		not, required := p.modifier()
		f, err := p.clause(field)
		if err != nil {
			return nil, err
		}
		clauses = p.add(clauses, conj, not, required, f)
	}
}

func (p *lucene) defaultOccur() occur {
	if p.and {
		return occurMust
	}
	return occurShould
}

func (p *lucene) conjunction(first bool) conjunction {
	if first {
		return conjunctionNone
	}
	switch p.peek().kind {
	case tokenAnd:
		p.take()
		return conjunctionAnd
	case tokenOr:
		p.take()
		return conjunctionOr
	}
	return conjunctionNone
}

func (p *lucene) modifier() (not, required bool) {
	switch p.peek().kind {
	case tokenNot, tokenMinus:
		p.take()
		return true, false
	case tokenPlus:
		p.take()
		return false, true
	}
	return false, false
}

// multiTerm reads two or more words with nothing between them.
func (p *lucene) multiTerm() (string, bool) {
	allowed := func(t luceneToken) bool {
		switch t.kind {
		case tokenColon, tokenStar, tokenFuzzy, tokenBoost, tokenAnd, tokenOr:
			return false
		}
		return true
	}
	if p.peek().kind != tokenTerm || p.ahead(1).kind != tokenTerm || !allowed(p.ahead(2)) {
		return "", false
	}
	words := []string{unescape(p.take().text)}
	for p.peek().kind == tokenTerm && allowed(p.ahead(1)) {
		words = append(words, unescape(p.take().text))
	}
	return strings.Join(words, " "), true
}

// add is QueryParserBase.addClause.
func (p *lucene) add(clauses []clause, conj conjunction, not, required bool, f Filter) []clause {
	if n := len(clauses); n > 0 && clauses[n-1].occur != occurNot {
		switch {
		case conj == conjunctionAnd:
			clauses[n-1].occur = occurMust
		case conj == conjunctionOr && p.and:
			clauses[n-1].occur = occurShould
		}
	}
	if f == nil {
		return clauses
	}
	c := clause{filter: f}
	switch {
	case not:
		c.occur = occurNot
	case required, !p.and && conj == conjunctionAnd, p.and && conj != conjunctionOr:
		c.occur = occurMust
	}
	return append(clauses, c)
}

// boolean joins clauses; only negative ones mean everything else.
func (p *lucene) boolean(clauses []clause) Filter {
	var lists [3][]Filter
	for _, c := range clauses {
		lists[c.occur] = append(lists[c.occur], c.filter)
	}
	if len(clauses) == 0 {
		return nil
	}
	atLeast := 0
	if len(lists[occurMust]) == 0 && len(lists[occurShould]) > 0 {
		atLeast = 1
	}
	return newBool(lists[occurMust], lists[occurShould], lists[occurNot], atLeast)
}

func (p *lucene) clause(field string) (Filter, error) {
	if kind := p.peek().kind; (kind == tokenTerm || kind == tokenStar) && p.ahead(1).kind == tokenColon {
		field = unescape(p.take().text)
		p.take()
	}
	if p.peek().kind == tokenOpen {
		p.take()
		f, err := p.query(field)
		if err != nil {
			return nil, err
		}
		if p.peek().kind != tokenClose {
			return nil, p.unexpected()
		}
		p.take()
		p.boost()
		return f, nil
	}
	return p.term(field)
}

// boost reads ^2, which changes only a score.
func (p *lucene) boost() {
	if p.peek().kind == tokenBoost {
		p.take()
	}
}

func (p *lucene) term(field string) (Filter, error) {
	t := p.peek()
	switch t.kind {
	case tokenTerm, tokenQuoted, tokenPrefix, tokenWild, tokenRegexp, tokenRange, tokenStar, tokenBareOperator:
		p.take()
	default:
		return nil, p.unexpected()
	}
	p.boost()
	if next := p.peek(); next.kind == tokenFuzzy {
		if t.kind == tokenTerm || t.kind == tokenQuoted && next.text != "0" && next.text != "" {
			return nil, apierror.Unsupported(fmt.Sprintf("[~] in the query [%s~%s]", t.text, next.text))
		}
		p.take()
	}
	p.boost()
	switch t.kind {
	case tokenQuoted:
		return p.leaf.text(field, unescape(t.text), true)
	case tokenStar:
		return p.leaf.star(field)
	case tokenPrefix:
		return p.leaf.prefix(field, unescape(strings.TrimSuffix(t.text, "*")))
	case tokenWild:
		return p.leaf.wildcard(field, t.text)
	case tokenRegexp:
		return p.leaf.regex(field, t.text)
	case tokenRange:
		return p.leaf.between(field, t)
	default:
		return p.leaf.text(field, unescape(t.text), false)
	}
}
