package query

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

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
