package event

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/jsonquote"
)

// AppendJSON appends the event as a nested JSON object, with @timestamp
// first. Where a name is both a value and the parent of other fields, the
// value is written as the member "value" of the object, so that the document
// stays valid.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"@timestamp":"`...)
	dst = appendTime(dst, e.Timestamp)
	dst = append(dst, '"')
	e.sortSteps()
	w := writer{dst: dst, first: false}
	for n, at := range e.steps {
		f := &e.fields[at]
		next := ""
		if n+1 < len(e.steps) {
			next = e.fields[e.steps[n+1]].Name
		}
		w.field(f.Name, f.Value, next)
	}
	w.closeTo(0)
	return append(w.dst, '}')
}

// sortSteps orders the fields so that all fields below one object follow each
// other.
func (e *Event) sortSteps() {
	e.steps = e.steps[:0]
	for i := range e.fields {
		e.steps = append(e.steps, int32(i))
	}
	slices.SortFunc(e.steps, func(a, b int32) int { return compareNames(e.fields[a].Name, e.fields[b].Name) })
}

// compareNames is string order with the dot before every other character, so
// that "a.b" comes directly after "a", and before "a-b".
func compareNames(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '.' {
			return -1
		}
		if b[i] == '.' {
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// writer writes sorted dotted names as nested objects.
type writer struct {
	dst []byte
	// path is the name of the object that is open, with a dot at its end; ""
	// at the top.
	path string
	// first says that nothing stands in the open object yet.
	first bool
}

func (w *writer) field(name string, v Value, next string) {
	if isBelow(next, name) {
		if next == name+".value" {
			return // nothing can hold both; the line in message does
		}
		name += ".value"
	}
	for !strings.HasPrefix(name, w.path) {
		w.closeOne()
	}
	rest := name[len(w.path):]
	for {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			break
		}
		w.key(rest[:dot])
		w.dst = append(w.dst, '{')
		w.first = true
		rest = rest[dot+1:]
		w.path = name[:len(name)-len(rest)]
	}
	w.key(rest)
	w.dst = v.AppendJSON(w.dst)
}

func (w *writer) key(k string) {
	if !w.first {
		w.dst = append(w.dst, ',')
	}
	w.first = false
	w.dst = jsonquote.Append(w.dst, k)
	w.dst = append(w.dst, ':')
}

func (w *writer) closeOne() {
	w.dst = append(w.dst, '}')
	w.first = false
	cut := strings.LastIndexByte(w.path[:len(w.path)-1], '.')
	w.path = w.path[:cut+1]
}

func (w *writer) closeTo(length int) {
	for len(w.path) > length {
		w.closeOne()
	}
}

// AppendJSON appends the value as JSON; a missing value as null.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindBool:
		return strconv.AppendBool(dst, v.num == 1)
	case KindInt:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case KindFloat:
		return appendFloat(dst, math.Float64frombits(v.num))
	case KindString:
		return jsonquote.Append(dst, v.str)
	case KindList:
		dst = append(dst, '[')
		for i, e := range v.more.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.AppendJSON(dst)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		for i, f := range v.more.fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsonquote.Append(dst, f.Name), ':')
			dst = f.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// appendFloat writes a float so that it is read as one again: 3 as 3.0.
func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if format == 'f' && !slices.Contains(dst[start:], '.') {
		dst = append(dst, '.', '0')
	}
	return dst
}

// appendTime writes UTC in ISO 8601 with 3 digits of the second's fraction,
// or 6 or 9 where they are needed. Years out of 0 to 9999 cannot be written
// so; they become the nearest year that can.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	switch y := t.Year(); {
	case y < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case y > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
	}
	layout := timestampFormat
	switch ns := t.Nanosecond(); {
	case ns%1e6 == 0:
		layout = "2006-01-02T15:04:05.000Z"
	case ns%1e3 == 0:
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return t.AppendFormat(dst, layout)
}
