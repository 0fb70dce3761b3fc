package event

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// convertProcessor changes the kinds of fields. A field that is missing is
// passed over; one that cannot be converted is left as it was.
type convertProcessor struct{ fields []convertField }

type convertField struct {
	name, to string
	convert  func(Value) (Value, bool)
}

func newConvert(s *settings) processor {
	p := &convertProcessor{}
	names, types := s.rest()
	for i := range names {
		f := convertField{name: s.fieldName(names[i]), to: types[i].Value}
		f.convert = converterTo(f.to)
		switch {
		case types[i].Kind != yaml.ScalarNode || f.convert == nil:
			s.failAt(types[i], "the type of %s must be integer, float, boolean, string or ip%s", f.name,
				nearest(f.to, []string{"integer", "float", "boolean", "string", "ip"}))
		case f.name == FieldTimestamp:
			s.failAt(names[i], "%s is always a time: use the timestamp processor", FieldTimestamp)
		}
		p.fields = append(p.fields, f)
	}
	if len(p.fields) == 0 {
		s.fail("write fields and their types, for instance \"convert: {http.response.status_code: integer}\"")
	}
	return p
}

func converterTo(name string) func(Value) (Value, bool) {
	switch name {
	case "integer", "int", "long":
		return asInteger
	case "float", "double":
		return asFloat
	case "boolean", "bool":
		return asBoolean
	case "string", "keyword":
		return func(v Value) (Value, bool) { return String(v.Text()), true }
	case "ip":
		return asIP
	}
	return nil
}

func (p *convertProcessor) process(e *Event) bool {
	for i := range p.fields {
		f := &p.fields[i]
		old := e.Get(f.name)
		if old.kind == KindMissing || old.kind == KindNull {
			continue
		}
		v, ok := convertEach(old, f.convert)
		if !ok {
			e.Fail("convert: " + f.name + " is not of type " + f.to + ": " + quoteShort(old.Text()))
			continue
		}
		e.Set(f.name, v)
	}
	return false
}

// convertEach converts a value, or each element of a list.
func convertEach(v Value, convert func(Value) (Value, bool)) (Value, bool) {
	if v.kind != KindList {
		return convert(v)
	}
	list := make([]Value, len(v.more.list))
	for i, e := range v.more.list {
		var ok bool
		if list[i], ok = convert(e); !ok {
			return Value{}, false
		}
	}
	return List(list...), true
}

func asInteger(v Value) (Value, bool) {
	switch v.kind {
	case KindInt:
		return v, true
	case KindBool:
		return Int(int64(v.num)), true
	case KindFloat:
		return wholeNumber(math.Float64frombits(v.num))
	case KindString:
		text := strings.TrimSpace(v.str)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Int(n), true
		}
		if hex, ok := strings.CutPrefix(text, "0x"); ok {
			n, err := strconv.ParseInt(hex, 16, 64)
			return Int(n), err == nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Value{}, false
		}
		return wholeNumber(f)
	}
	return Value{}, false
}

// wholeNumber cuts the fraction off.
func wholeNumber(f float64) (Value, bool) {
	if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return Value{}, false
	}
	return Int(int64(f)), true
}

func asFloat(v Value) (Value, bool) {
	if f, ok := v.Number(); ok {
		return Float(f), true
	}
	if v.kind != KindString {
		return Value{}, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(v.str), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}, false
	}
	return Float(f), true
}

func asBoolean(v Value) (Value, bool) {
	switch v.kind {
	case KindBool:
		return v, true
	case KindInt:
		return Bool(v.num == 1), v.num <= 1
	case KindString:
		switch strings.ToLower(strings.TrimSpace(v.str)) {
		case "true", "t", "yes", "y", "on", "1":
			return Bool(true), true
		case "false", "f", "no", "n", "off", "0":
			return Bool(false), true
		}
	}
	return Value{}, false
}

func asIP(v Value) (Value, bool) {
	if v.kind != KindString {
		return Value{}, false
	}
	a, err := netip.ParseAddr(strings.TrimSpace(v.str))
	if err != nil {
		return Value{}, false
	}
	return String(a.WithZone("").Unmap().String()), true
}

// quoteShort quotes a value for error.message, cut to a length that can be read.
func quoteShort(s string) string {
	const shortMax = 100
	if len(s) > shortMax {
		s = validText(s[:shortMax]) + "…"
	}
	return strconv.Quote(s)
}
