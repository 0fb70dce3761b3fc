package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type fieldKind uint8

const (
	kindFixed          fieldKind = iota // width bytes
	kindString                          // not null
	kindNullableString                  //
	kindBytes                           //
	kindArray                           // of elem
	kindStruct                          // elem, in place
	kindNullableStruct                  // a byte, then elem unless it is negative
)

// field is one field of a request in wire order.
type field struct {
	name     string
	from, to int16
	null     *versionRange // in which an array or bytes may be null; nil for none
	kind     fieldKind
	width    int     // of kindFixed
	elem     *schema // of kindArray, kindStruct and kindNullableStruct
	// elemBytes is the memory that one element of a decoded array takes.
	elemBytes int64
}

// schema is the shape of a request or of an element within it. A schema of one
// unnamed field stands for an array's plain element.
type schema struct {
	fields []field
	plain  bool
}

// errShape is what a field of an unexpected Go type gives; it can only come
// from a kmsg version whose types differ from those that the tests have seen.
var errShape = errors.New("field type has no wire shape")

type versionRange struct {
	from, to int16
	tag      bool
}

// has says whether the version is one of the range; a nil range has none.
func (r *versionRange) has(version int16) bool {
	return r != nil && version >= r.from && version <= r.to
}

// shaper derives schemas; what it uses of the ranges is deleted from them.
type shaper struct {
	present, null map[string]versionRange
}

// newSchema derives the shape of req's versions from its kmsg type.
func newSchema(req kmsg.Request) (*schema, error) {
	present, err := parseRanges(versionRanges(req.Key()))
	if err != nil {
		return nil, err
	}
	null, err := parseRanges(nullRanges(req.Key()))
	if err != nil {
		return nil, err
	}
	shape := shaper{present, null}
	s, err := shape.ofStruct(reflect.TypeOf(req).Elem(), "")
	if err != nil {
		return nil, fmt.Errorf("request key %d: %w", req.Key(), err)
	}
	for _, ranges := range []map[string]versionRange{present, null} {
		for path := range ranges {
			return nil, fmt.Errorf("request key %d has no field %s", req.Key(), path)
		}
	}
	return s, nil
}

func parseRanges(table string) (map[string]versionRange, error) {
	ranges := make(map[string]versionRange)
	for entry := range strings.SplitSeq(table, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		path, span, _ := strings.Cut(entry, " ")
		if span == "tag" {
			ranges[path] = versionRange{tag: true}
			continue
		}
		lo, hi, _ := strings.Cut(span, "-")
		from, err := strconv.ParseInt(lo, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("version range of %s: %w", path, err)
		}
		to := int64(math.MaxInt16)
		if hi != "" {
			if to, err = strconv.ParseInt(hi, 10, 16); err != nil {
				return nil, fmt.Errorf("version range of %s: %w", path, err)
			}
		}
		ranges[path] = versionRange{from: int16(from), to: int16(to)}
	}
	return ranges, nil
}

func (p shaper) ofStruct(t reflect.Type, prefix string) (*schema, error) {
	s := &schema{}
	for sf := range t.Fields() {
		if sf.Name == "UnknownTags" || prefix == "" && sf.Name == "Version" {
			continue
		}
		path := prefix + sf.Name
		r, ok := p.present[path]
		delete(p.present, path)
		if !ok {
			r = versionRange{to: math.MaxInt16}
		}
		if r.tag {
			continue
		}
		f, err := p.ofField(sf.Type, path)
		if err != nil {
			return nil, err
		}
		f.name, f.from, f.to = path, r.from, r.to
		if null, ok := p.null[path]; ok {
			f.null = &null
			delete(p.null, path)
		}
		s.fields = append(s.fields, f)
	}
	return s, nil
}

func (p shaper) ofField(t reflect.Type, path string) (field, error) {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32, reflect.Float64:
		return field{kind: kindFixed, width: int(t.Size())}, nil
	case reflect.Array: // a uuid
		return field{kind: kindFixed, width: t.Len()}, nil
	case reflect.String:
		return field{kind: kindString}, nil
	case reflect.Struct:
		elem, err := p.ofStruct(t, path+".")
		return field{kind: kindStruct, elem: elem}, err
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.String {
			return field{kind: kindNullableString}, nil
		}
		if t.Elem().Kind() == reflect.Struct {
			elem, err := p.ofStruct(t.Elem(), path+".")
			return field{kind: kindNullableStruct, elem: elem, elemBytes: int64(t.Elem().Size())}, err
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return field{kind: kindBytes}, nil
		}
		f := field{kind: kindArray, elemBytes: int64(t.Elem().Size())}
		if t.Elem().Kind() == reflect.Struct {
			elem, err := p.ofStruct(t.Elem(), path+".")
			f.elem = elem
			return f, err
		}
		plain, err := p.ofField(t.Elem(), path)
		plain.to = math.MaxInt16
		f.elem = &schema{fields: []field{plain}, plain: true}
		return f, err
	}
	return field{}, fmt.Errorf("%w: %s %s", errShape, path, t)
}
