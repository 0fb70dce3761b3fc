package wire

import (
	"reflect"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errorPlan says where the error codes of a type of kmsg's responses are, so that
// counting them looks at nothing else. Immutable.
type errorPlan struct {
	codes  []int        // fields that are error codes
	nested []nestedPlan // fields with more inside
}

type nestedPlan struct {
	field int
	plan  *errorPlan
}

// planErrors makes the plan of a response's type; nil when it has no error code.
func planErrors(resp kmsg.Response) *errorPlan {
	return planType(reflect.TypeOf(resp).Elem())
}

func planType(t reflect.Type) *errorPlan {
	var p errorPlan
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "ErrorCode" && f.Type.Kind() == reflect.Int16 {
			p.codes = append(p.codes, i)
			continue
		}
		inside := f.Type
		for inside.Kind() == reflect.Slice || inside.Kind() == reflect.Pointer {
			inside = inside.Elem()
		}
		if inside.Kind() != reflect.Struct || !f.IsExported() || f.Name == "UnknownTags" {
			continue
		}
		if nested := planType(inside); nested != nil {
			p.nested = append(p.nested, nestedPlan{i, nested})
		}
	}
	if len(p.codes) == 0 && len(p.nested) == 0 {
		return nil
	}
	return &p
}

// each calls fn for each error code of v that is not 0.
func (p *errorPlan) each(v reflect.Value, fn func(code int16)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.each(v.Elem(), fn)
		}
		return
	case reflect.Slice:
		for i := range v.Len() {
			p.each(v.Index(i), fn)
		}
		return
	default:
	}
	for _, i := range p.codes {
		if code := int16(v.Field(i).Int()); code != 0 {
			fn(code)
		}
	}
	for _, n := range p.nested {
		n.plan.each(v.Field(n.field), fn)
	}
}

// countErrors counts the error codes of a response.
func (r *Request) countErrors(resp kmsg.Response) {
	if p := r.api.errors; p != nil {
		p.each(reflect.ValueOf(resp), r.CountError)
	}
}

// CountError counts an error code that a response has which is not kmsg's; 0 is none.
func (r *Request) CountError(code int16) {
	if code != 0 {
		r.api.metrics.errors.WithLabelValues(r.api.name, errorName(code)).Inc()
	}
}

// errorName is a code's name in Kafka's protocol.
func errorName(code int16) string {
	if e := kerr.TypedErrorForCode(code); e != nil && e.Code == code {
		return e.Message
	}
	return strconv.Itoa(int(code))
}
