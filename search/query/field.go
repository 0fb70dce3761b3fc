package query

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/search/analysis"
	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// shardError is an error of a query that is met when it is tied to an index.
func (c *compiler) shardError(format string, args ...any) error {
	e := apierror.OnShard("query_shard_exception", format, args...)
	e.Fields = map[string]any{"index": c.index}
	return e
}

func (c *compiler) createError(cause error) error {
	reason := cause.Error()
	if e, ok := apierror.From(cause); ok {
		reason = e.Reason
	}
	return c.shardError("failed to create query: %s", reason)
}

func (c *compiler) searchable(f *mapping.Field) error {
	if f.Index || f.DocValues {
		return nil
	}
	return c.shardError("failed to create query: Cannot search on field [%s] since it is not indexed nor has doc values.", f.Path)
}

// term returns what matches a value as it stands, not analysed.
func (c *compiler) term(f *mapping.Field, text string) (Filter, error) {
	if err := c.searchable(f); err != nil {
		return nil, err
	}
	switch {
	case f.Type.IsText():
		words := analyze(text)
		if len(words) != 1 || string(words[0]) != text {
			return noneFilter{}, nil // no word is written so
		}
		return newWordFilter(f, words), nil
	case f.Type.IsKeyword():
		return exactFilter(f, [][]byte{[]byte(text)}), nil
	case f.Type == mapping.Boolean:
		switch text {
		case "true":
			return newIntFilter(f, [][2]int64{{1, 1}}), nil
		case "false", "":
			return newIntFilter(f, [][2]int64{{0, 0}}), nil
		}
		return nil, c.shardError("failed to create query: Can't parse boolean value [%s], expected [true] or [false]", text)
	case f.Type == mapping.Date:
		return c.between(f, rangeSpec{from: &text, to: &text, includeFrom: true, includeTo: true})
	case f.Type == mapping.IP:
		return c.address(f, text)
	case f.Type.IsInteger():
		return c.integerTerm(f, text)
	default:
		x, err := f.ParseFloat(text)
		if err != nil {
			if _, parseErr := strconv.ParseFloat(text, 64); parseErr == nil {
				return noneFilter{}, nil
			}
			return nil, c.createError(err)
		}
		return &floatFilter{field: f, match: func(v float64) bool { return v == x }}, nil
	}
}

func (c *compiler) integerTerm(f *mapping.Field, text string) (Filter, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(x, 0) {
		return nil, c.createError(apierror.Illegal("For input string: \"%s\"", text))
	}
	if x != math.Trunc(x) {
		return noneFilter{}, nil
	}
	n, err := f.ParseInteger(text)
	if err != nil {
		return noneFilter{}, nil //nolint:nilerr // a number out of range is simply not there
	}
	return newIntFilter(f, [][2]int64{{n, n}}), nil
}

func (c *compiler) address(f *mapping.Field, text string) (Filter, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, c.shardError("failed to create query: '%s' is not an IP string literal.", text)
		}
		low, high := prefixRange(prefix)
		return addressRange(f, low, high), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return nil, c.shardError("failed to create query: '%s' is not an IP string literal.", text)
	}
	raw := addr.As16()
	return exactFilter(f, [][]byte{raw[:]}), nil
}

func prefixRange(p netip.Prefix) (low, high [16]byte) {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	low = p.Addr().As16()
	high = low
	for i := bits; i < 128; i++ {
		low[i/8] &^= 0x80 >> (i % 8)
		high[i/8] |= 0x80 >> (i % 8)
	}
	return low, high
}

func addressRange(f *mapping.Field, low, high [16]byte) Filter {
	return &valueFilter{field: f, match: func(v []byte) bool {
		return bytes.Compare(v, low[:]) >= 0 && bytes.Compare(v, high[:]) <= 0
	}}
}

// full returns what a match query looks for: the words of the text in any order, all
// of them where required is set.
func (c *compiler) full(f *mapping.Field, text string, operator boolOperator) (Filter, error) {
	if !f.Type.IsText() {
		return c.term(f, text)
	}
	if err := c.searchable(f); err != nil {
		return nil, err
	}
	words := analyze(text)
	if len(words) == 0 {
		return noneFilter{}, nil
	}
	var each []Filter
	for _, word := range words {
		each = append(each, newWordFilter(f, [][]byte{word}))
	}
	if operator.atLeast == nil {
		if operator.and {
			return newBool(each, nil, nil, 0), nil
		}
		return anyOf(each), nil
	}
	atLeast, err := operator.atLeast.of(len(each))
	if err != nil {
		return nil, err
	}
	if operator.and {
		return newBool(each, nil, nil, 0), nil
	}
	return newBool(nil, each, nil, max(atLeast, 1)), nil
}

// phrase returns what has the words of the text one after the other.
func (c *compiler) phrase(f *mapping.Field, text string) (Filter, error) {
	if !f.Type.IsText() {
		return c.term(f, text)
	}
	if err := c.searchable(f); err != nil {
		return nil, err
	}
	words := analyze(text)
	if len(words) == 0 {
		return noneFilter{}, nil
	}
	return newWordFilter(f, words), nil
}

// stringMatch returns what has a value, or a word, that match accepts.
func (c *compiler) stringMatch(f *mapping.Field, kind string, literal []byte, match func(v []byte) bool) (Filter, error) {
	if err := c.searchable(f); err != nil {
		return nil, err
	}
	switch {
	case f.Type.IsText():
		return &anyWordFilter{field: f, match: match, literal: literal}, nil
	case f.Type.IsKeyword():
		return &valueFilter{field: f, match: match}, nil
	default:
		return nil, c.shardError("Can only use %s queries on keyword, text and wildcard fields - not on [%s] which is of type [%s]", kind, f.Path, f.Type)
	}
}

func (c *compiler) prefix(f *mapping.Field, prefix string, fold bool) (Filter, error) {
	want := []byte(prefix)
	if fold {
		want = analysis.AppendLower(nil, want)
		return c.stringMatch(f, "prefix", want, func(v []byte) bool { return bytes.HasPrefix(analysis.AppendLower(nil, v), want) })
	}
	return c.stringMatch(f, "prefix", want, func(v []byte) bool { return bytes.HasPrefix(v, want) })
}

func (c *compiler) wildcard(f *mapping.Field, pattern string, fold bool) (Filter, error) {
	p := compileWildcard(pattern, fold)
	return c.stringMatch(f, "wildcard", p.literal(), p.match)
}

// regexpMax bounds the length of a regular expression, index.max_regex_length.
const regexpMax = 1000

// regex matches a whole value by a regular expression. Lucene's own operators
// are refused.
func (c *compiler) regex(f *mapping.Field, pattern string, fold bool) (Filter, error) {
	if len(pattern) > regexpMax {
		return nil, c.shardError("The length of regex [%d] used in the request has exceeded the allowed maximum of [%d].", len(pattern), regexpMax)
	}
	if strings.ContainsAny(pattern, "~<>&@#") {
		return nil, apierror.Unsupported("an operator of Lucene in the regular expression [" + pattern + "]")
	}
	flags := "s"
	if fold {
		flags += "i"
	}
	re, err := regexp.Compile("(?" + flags + ")^(?:" + pattern + ")$")
	if err != nil {
		return nil, c.shardError("failed to create query: %s", err)
	}
	return c.stringMatch(f, "regexp", nil, re.Match)
}

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

// rangeSpec is the ends of a range; nil is open.
type rangeSpec struct {
	from, to               *string
	includeFrom, includeTo bool
	format                 string
	zone                   *time.Location
}

// between returns what has a value in the range.
func (c *compiler) between(f *mapping.Field, r rangeSpec) (Filter, error) {
	if err := c.searchable(f); err != nil {
		return nil, err
	}
	switch {
	case f.Type == mapping.Date:
		return c.dateRange(f, r)
	case f.Type.IsInteger():
		return c.integerRange(f, r)
	case f.Type.IsFloat():
		return c.floatRange(f, r)
	case f.Type == mapping.Boolean:
		return c.booleanRange(f, r)
	case f.Type == mapping.IP:
		return c.ipRange(f, r)
	default:
		match := func(v []byte) bool {
			return above(string(v), r.from, r.includeFrom) && below(string(v), r.to, r.includeTo)
		}
		return c.stringMatch(f, "range", nil, match)
	}
}

func above(v string, end *string, include bool) bool {
	return end == nil || v > *end || include && v == *end
}

func below(v string, end *string, include bool) bool {
	return end == nil || v < *end || include && v == *end
}

func (c *compiler) dateRange(f *mapping.Field, r rangeSpec) (Filter, error) {
	dates := f.Dates
	if r.format != "" {
		parsed, err := mapping.ParseDateFormat(r.format)
		if err != nil {
			return nil, c.createError(err)
		}
		dates = parsed
	}
	zone := r.zone
	if zone == nil {
		zone = time.UTC
	}
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	var err error
	if r.from != nil {
		if low, err = dates.ParseMath(*r.from, c.now, !r.includeFrom, zone); err != nil {
			return nil, c.dateError(err)
		}
		if !r.includeFrom {
			low++
		}
	}
	if r.to != nil {
		if high, err = dates.ParseMath(*r.to, c.now, r.includeTo, zone); err != nil {
			return nil, c.dateError(err)
		}
		if !r.includeTo {
			high--
		}
	}
	return newIntFilter(f, [][2]int64{{low, high}}), nil
}

func (c *compiler) dateError(err error) error {
	return apierror.OnShard("parse_exception", "%s: [%s]", err, err)
}

func (c *compiler) integerRange(f *mapping.Field, r rangeSpec) (Filter, error) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if r.from != nil {
		x, n, err := parseEnd(*r.from)
		switch {
		case err != nil:
			return nil, c.createError(err)
		case math.Abs(x) >= math.MaxInt64 && n == 0:
			return nil, c.createError(apierror.Illegal("Value [%s] is out of range for a %s", *r.from, f.Type))
		case x != math.Trunc(x):
			low = int64(math.Ceil(x))
		case r.includeFrom:
			low = n
		case n == math.MaxInt64:
			return noneFilter{}, nil
		default:
			low = n + 1
		}
	}
	if r.to != nil {
		x, n, err := parseEnd(*r.to)
		switch {
		case err != nil:
			return nil, c.createError(err)
		case math.Abs(x) >= math.MaxInt64 && n == 0:
			return nil, c.createError(apierror.Illegal("Value [%s] is out of range for a %s", *r.to, f.Type))
		case x != math.Trunc(x):
			high = int64(math.Floor(x))
		case r.includeTo:
			high = n
		case n == math.MinInt64:
			return noneFilter{}, nil
		default:
			high = n - 1
		}
	}
	return newIntFilter(f, [][2]int64{{low, high}}), nil
}

// parseEnd reads a number both as a float and, where it is one, as a whole number; n is 0
// where the number is out of range.
func parseEnd(text string) (x float64, n int64, err error) {
	x, err = strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, 0, fmt.Errorf("For input string: \"%s\"", text) //nolint:staticcheck // Java's words, which clients see.
	}
	if n, err = strconv.ParseInt(text, 10, 64); err == nil {
		return x, n, nil
	}
	if x > -9.2e18 && x < 9.2e18 {
		n = int64(x)
	}
	return x, n, nil
}

func (c *compiler) floatRange(f *mapping.Field, r rangeSpec) (Filter, error) {
	low, high := math.Inf(-1), math.Inf(1)
	if r.from != nil {
		x, _, err := parseEnd(*r.from)
		if err != nil {
			return nil, c.createError(err)
		}
		low = f.Round(x)
	}
	if r.to != nil {
		x, _, err := parseEnd(*r.to)
		if err != nil {
			return nil, c.createError(err)
		}
		high = f.Round(x)
	}
	openFrom, openTo := r.from != nil && !r.includeFrom, r.to != nil && !r.includeTo
	return &floatFilter{field: f, match: func(v float64) bool {
		return (v > low || !openFrom && v == low) && (v < high || !openTo && v == high)
	}}, nil
}

func (c *compiler) booleanRange(f *mapping.Field, r rangeSpec) (Filter, error) {
	low, high := int64(0), int64(1)
	for i, end := range []*string{r.from, r.to} {
		if end == nil {
			continue
		}
		v := int64(0)
		switch *end {
		case "true":
			v = 1
		case "false":
		default:
			return nil, c.shardError("failed to create query: Can't parse boolean value [%s], expected [true] or [false]", *end)
		}
		switch {
		case i == 0 && r.includeFrom:
			low = v
		case i == 0:
			low = v + 1
		case r.includeTo:
			high = v
		default:
			high = v - 1
		}
	}
	return newIntFilter(f, [][2]int64{{low, high}}), nil
}

func (c *compiler) ipRange(f *mapping.Field, r rangeSpec) (Filter, error) {
	var ends [2][]byte
	for i, end := range []*string{r.from, r.to} {
		if end == nil {
			continue
		}
		addr, err := netip.ParseAddr(*end)
		if err != nil {
			return nil, c.shardError("failed to create query: '%s' is not an IP string literal.", *end)
		}
		raw := addr.As16()
		ends[i] = raw[:]
	}
	return &valueFilter{field: f, match: func(v []byte) bool {
		if ends[0] != nil {
			if order := bytes.Compare(v, ends[0]); order < 0 || order == 0 && !r.includeFrom {
				return false
			}
		}
		if ends[1] != nil {
			if order := bytes.Compare(v, ends[1]); order > 0 || order == 0 && !r.includeTo {
				return false
			}
		}
		return true
	}}, nil
}

// exists returns what has a value in the field, or in any field below an object, or in any
// field that a pattern names.
func (c *compiler) exists(name string) Filter {
	var fields []*mapping.Field
	switch {
	case name == "_id" || name == "_index" || name == "_source":
		return allFilter{}
	case strings.Contains(name, "*"):
		fields = c.mapping.Expand(name)
	default:
		if f := c.mapping.Lookup(name); f != nil {
			fields = []*mapping.Field{f}
		} else {
			fields = c.mapping.Under(name)
		}
	}
	if len(fields) == 0 {
		return noneFilter{}
	}
	return &existsFilter{fields: fields}
}
