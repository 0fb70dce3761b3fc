package query

import (
	"bytes"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

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
