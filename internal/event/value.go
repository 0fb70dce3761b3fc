package event

import (
	"math"
	"strconv"
)

// Kind is the type of a [Value].
type Kind uint8

// Kinds of values. The zero value of Value is KindMissing: no such field.
const (
	KindMissing Kind = iota
	KindNull
	KindBool
	KindInt
	KindFloat
	KindString
	KindList
	KindObject
)

var kindNames = [...]string{"missing", "null", "boolean", "integer", "float", "string", "list", "object"}

// String names the kind as error messages do.
func (k Kind) String() string { return kindNames[k] }

// Value is the value of a field. It is immutable; lists and objects that it
// was made of must not be changed afterwards.
type Value struct {
	str  string
	num  uint64
	more *compound
	kind Kind
}

// compound keeps the rare kinds out of the common value's size.
type compound struct {
	list   []Value
	fields []Field
}

// Field is a name and its value.
type Field struct {
	Name  string
	Value Value
}

// Null is JSON's null.
func Null() Value { return Value{kind: KindNull} }

// String makes a string value.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Int makes an integer value.
func Int(n int64) Value { return Value{kind: KindInt, num: uint64(n)} }

// Float makes a floating point value. NaN and infinities, which JSON cannot
// hold, become null.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Null()
	}
	return Value{kind: KindFloat, num: math.Float64bits(f)}
}

// Bool makes a boolean value.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// List makes a list; vs is kept.
func List(vs ...Value) Value { return Value{kind: KindList, more: &compound{list: vs}} }

// Object makes an object as it stands inside a list; fields is kept. An object
// that is the value of a field is set field by field instead, see
// [Event.SetObject].
func Object(fields ...Field) Value { return Value{kind: KindObject, more: &compound{fields: fields}} }

// Kind returns the type of the value.
func (v Value) Kind() Kind { return v.kind }

// Missing reports whether there is no such field.
func (v Value) Missing() bool { return v.kind == KindMissing }

// Str returns a string value, and "" for any other kind.
func (v Value) Str() string { return v.str }

// Int returns an integer value, and 0 for any other kind.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return int64(v.num)
}

// Number returns an integer or floating point value as a float.
func (v Value) Number() (float64, bool) {
	switch v.kind {
	case KindInt:
		return float64(int64(v.num)), true
	case KindFloat:
		return math.Float64frombits(v.num), true
	default:
		return 0, false
	}
}

// Bool returns a boolean value, and false for any other kind.
func (v Value) Bool() bool { return v.kind == KindBool && v.num == 1 }

// List returns the elements of a list, nil for any other kind. The caller must
// not change them.
func (v Value) List() []Value {
	if v.kind != KindList {
		return nil
	}
	return v.more.list
}

// Fields returns the fields of an object, nil for any other kind. The caller
// must not change them.
func (v Value) Fields() []Field {
	if v.kind != KindObject {
		return nil
	}
	return v.more.fields
}

// Text returns the value as text: a string as it is, a number or boolean as
// JSON writes it, a list or object as JSON, and "" for a missing field or null.
func (v Value) Text() string {
	switch v.kind {
	case KindMissing, KindNull:
		return ""
	case KindString:
		return v.str
	case KindInt:
		return strconv.FormatInt(int64(v.num), 10)
	case KindBool:
		return strconv.FormatBool(v.num == 1)
	default:
		return string(v.AppendJSON(nil))
	}
}

// Any returns the value as encoding/json would decode it, with integers as
// int64: nil, bool, int64, float64, string, []any or map[string]any.
func (v Value) Any() any {
	switch v.kind {
	case KindBool:
		return v.num == 1
	case KindInt:
		return int64(v.num)
	case KindFloat:
		return math.Float64frombits(v.num)
	case KindString:
		return v.str
	case KindList:
		out := make([]any, len(v.more.list))
		for i, e := range v.more.list {
			out[i] = e.Any()
		}
		return out
	case KindObject:
		out := make(map[string]any, len(v.more.fields))
		for _, f := range v.more.fields {
			out[f.Name] = f.Value.Any()
		}
		return out
	default:
		return nil
	}
}

// Equal reports whether two values are the same; an integer equals a float of
// the same size. A missing value equals nothing, not even another.
func (v Value) Equal(w Value) bool {
	if v.kind != w.kind {
		a, aok := v.Number()
		b, bok := w.Number()
		return aok && bok && a == b
	}
	switch v.kind {
	case KindMissing:
		return false
	case KindString:
		return v.str == w.str
	case KindFloat:
		return math.Float64frombits(v.num) == math.Float64frombits(w.num)
	case KindList, KindObject:
		return equalCompound(v.more, w.more)
	default:
		return v.num == w.num
	}
}

func equalCompound(a, b *compound) bool {
	if len(a.list) != len(b.list) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.list {
		if !a.list[i].Equal(b.list[i]) {
			return false
		}
	}
	for i := range a.fields {
		if a.fields[i].Name != b.fields[i].Name || !a.fields[i].Value.Equal(b.fields[i].Value) {
			return false
		}
	}
	return true
}
