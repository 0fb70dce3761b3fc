package mapping

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/jsonscan"
)

// keywordBytesMax is Lucene's longest term.
const keywordBytesMax = 32766

// Value is one value of one column.
type Value struct {
	// Slot is the slot of the field's column.
	Slot  int
	Kind  column.Kind
	Int   int64
	Float float64
	// Bytes points into the document or into the parser.
	Bytes []byte
}

type newFieldSpec struct {
	path string
	spec map[string]any
}

// Parser turns documents into values. It belongs to one goroutine.
type Parser struct {
	scan   jsonscan.Scanner
	m      *Mapping
	id     string
	source []byte
	path   []byte
	values []Value
	added  []newFieldSpec
	keys   [][]byte
	ips    []byte
}

// Parse reads a document by the mapping m. Where the document has fields that m
// has not, the mapping that has them is returned as next and the values are not yet
// complete: the caller publishes next and parses again. The values
// point into source and the parser and are valid until the next call.
//
// Errors are *apierror.Error, as Elasticsearch answers for the document.
func (p *Parser) Parse(m *Mapping, id string, source []byte) (values []Value, next *Mapping, err error) {
	p.m, p.id, p.source = m, id, source
	p.path, p.values, p.added, p.keys, p.ips = p.path[:0], p.values[:0], p.added[:0], p.keys[:0], p.ips[:0]
	p.scan.Reset(source)
	if p.scan.Peek() != '{' {
		return nil, nil, p.syntax("a document must be an object")
	}
	if !utf8.Valid(source) {
		return nil, nil, p.syntax("Invalid UTF-8")
	}
	if err := p.object(m.root, DynamicTrue, 0); err != nil {
		return nil, nil, p.asError(err)
	}
	if err := p.scan.End(); err != nil {
		return nil, nil, p.asError(err)
	}
	if len(p.added) > 0 {
		next, err := m.withNew(p.added)
		return nil, next, err
	}
	return p.values, nil, nil
}

func (p *Parser) asError(err error) error {
	if _, ok := apierror.From(err); ok {
		return err
	}
	return p.syntax("%s", err)
}

func (p *Parser) syntax(format string, args ...any) error {
	e := apierror.New("document_parsing_exception", format, args...)
	e.Reason = p.position() + " failed to parse: " + e.Reason
	return e
}

// position is the line and the column of the next value.
func (p *Parser) position() string {
	p.scan.Peek()
	before := p.source[:min(p.scan.Pos(), len(p.source))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	col := len(before) - bytes.LastIndexByte(before, '\n')
	return "[" + strconv.Itoa(line) + ":" + strconv.Itoa(col) + "]"
}

func (p *Parser) parsing(format string, args ...any) *apierror.Error {
	e := apierror.New("document_parsing_exception", format, args...)
	e.Reason = p.position() + " " + e.Reason
	return e
}

func (p *Parser) object(o *object, dynamic Dynamic, depth int) error {
	if o.dynamic != "" {
		dynamic = o.dynamic
	}
	if o.disabled {
		_, err := p.scan.Skip()
		return err
	}
	firstKey := len(p.keys)
	err := p.scan.Object(func(key []byte) error {
		if err := p.checkKey(key, firstKey, depth); err != nil {
			return err
		}
		mark := len(p.path)
		err := p.member(o, dynamic, key, depth)
		p.path = p.path[:mark]
		return err
	})
	p.keys = p.keys[:firstKey]
	return err
}

func (p *Parser) checkKey(key []byte, firstKey, depth int) error {
	for _, other := range p.keys[firstKey:] {
		if bytes.Equal(other, key) {
			return p.syntax("Duplicate field '%s'", key)
		}
	}
	p.keys = append(p.keys, key)
	if len(p.keys)-firstKey > 10*FieldsMax {
		return p.syntax("an object has more than %d fields", 10*FieldsMax)
	}
	if depth == 0 && len(key) > 1 && key[0] == '_' {
		switch string(key) {
		case "_id", "_index", "_source", "_routing", "_seq_no", "_version", "_ignored", "_field_names", "_nested_path", "_doc_count", "_tier":
			return p.parsing("Field [%s] is a metadata field and cannot be added inside a document. Use the index API request parameters.", key)
		}
	}
	return nil
}

// member reads the value of a key, which may have dots.
func (p *Parser) member(o *object, dynamic Dynamic, key []byte, depth int) error {
	if len(p.path) > 0 {
		p.path = append(p.path, '.')
	}
	for {
		if n, ok := o.children[string(key)]; ok {
			p.path = append(p.path, key...)
			return p.value(n, dynamic, depth)
		}
		dot := bytes.IndexByte(key, '.')
		if dot < 0 {
			break
		}
		head := key[:dot]
		n, ok := o.children[string(head)]
		if !ok || n.object == nil || dot+1 == len(key) {
			break
		}
		p.path = append(append(p.path, head...), '.')
		key, o = key[dot+1:], n.object
		if o.dynamic != "" {
			dynamic = o.dynamic
		}
		if o.disabled {
			_, err := p.scan.Skip()
			return err
		}
	}
	p.path = append(p.path, key...)
	return p.unmapped(dynamic, key, depth)
}

// value reads a value of a mapped field or object.
func (p *Parser) value(n node, dynamic Dynamic, depth int) error {
	if n.field != nil {
		return p.fieldValue(n.field)
	}
	switch c := p.scan.Peek(); {
	case n.object.disabled:
		_, err := p.scan.Skip()
		return err
	case c == '{':
		return p.object(n.object, dynamic, depth+1)
	case c == '[':
		return p.scan.Array(func() error { return p.value(n, dynamic, depth) })
	case c == 'n':
		_, err := p.scan.Literal()
		return err
	default:
		return p.parsing("object mapping for [%s] tried to parse field [%s] as object, but found a concrete value", p.path, lastName(string(p.path)))
	}
}

// unmapped reads a value for which there is no field.
func (p *Parser) unmapped(dynamic Dynamic, key []byte, depth int) error {
	switch {
	case len(key) == 0:
		return p.syntax("field name cannot be an empty string")
	case key[0] == '.' || key[len(key)-1] == '.' || bytes.Contains(key, []byte("..")) || len(bytes.TrimSpace(key)) == 0:
		return p.syntax("field name cannot contain only whitespace: ['%s']", p.path)
	case dynamic == DynamicFalse:
		_, err := p.scan.Skip()
		return err
	case dynamic == DynamicStrict:
		return apierror.New("strict_dynamic_mapping_exception", "%s mapping set to strict, dynamic introduction of [%s] within [_doc] is not allowed", p.position(), key)
	}
	return p.newValue(depth)
}

// newValue notes the declaration of a new field, and those below a new object.
func (p *Parser) newValue(depth int) error {
	switch c := p.scan.Peek(); c {
	case '{':
		if depth > DepthMax {
			return apierror.Illegal("Limit of mapping depth [%d] has been exceeded due to object field [%s]", DepthMax, p.path)
		}
		if err := p.declare(jsonValue{jsonType: "object"}); err != nil {
			return err
		}
		return p.object(&object{}, DynamicTrue, depth+1)
	case '[':
		return p.scan.Array(func() error { return p.newValue(depth) })
	case '"':
		text, err := p.scan.String()
		if err != nil {
			return err
		}
		return p.declare(jsonValue{jsonType: "string", text: string(text)})
	case 'n':
		_, err := p.scan.Literal()
		return err
	case 't', 'f':
		_, err := p.scan.Literal()
		if err != nil {
			return err
		}
		return p.declare(jsonValue{jsonType: "boolean"})
	default:
		_, integer, err := p.scan.Number()
		if err != nil {
			return err
		}
		if integer {
			return p.declare(jsonValue{jsonType: "long"})
		}
		return p.declare(jsonValue{jsonType: "double"})
	}
}

func (p *Parser) declare(v jsonValue) error {
	path := string(p.path)
	for _, f := range p.added {
		if f.path == path {
			return p.redeclare(f, v)
		}
	}
	if len(p.added) >= FieldsMax {
		return apierror.Illegal("Limit of total fields [%d] has been exceeded", FieldsMax)
	}
	p.added = append(p.added, newFieldSpec{path, p.m.declareDynamic(path, v)})
	return nil
}

// redeclare meets a further value of a field that this document adds.
func (p *Parser) redeclare(f newFieldSpec, v jsonValue) error {
	again := p.m.declareDynamic(f.path, v)
	if again["type"] == f.spec["type"] {
		return nil
	}
	return apierror.Illegal("mapper [%s] cannot be changed from type [%v] to [%v]", f.path, f.spec["type"], again["type"])
}

// fieldValue reads one value of a field, or an array of them.
func (p *Parser) fieldValue(f *Field) error {
	if p.scan.Peek() == '[' {
		return p.scan.Array(func() error { return p.fieldValue(f) })
	}
	before := len(p.values)
	start := p.scan.Pos()
	err := p.scalar(f)
	if err == nil {
		return nil
	}
	apiErr, ok := apierror.From(err)
	if !ok {
		return err
	}
	end := p.scan.Pos()
	if f.ignoreMalformed && p.scan.Peek() != '{' && end > start {
		p.values = p.values[:before]
		return nil
	}
	outer := p.parsing("failed to parse field [%s] of type [%s] in document with id '%s'. Preview of field's value: '%s'",
		f.Path, f.Type, p.id, preview(p.source[min(start, len(p.source)):min(max(end, start), len(p.source))]))
	return outer.WithCause(apiErr)
}

func preview(value []byte) string {
	const shownMax = 50
	text := strings.Trim(string(bytes.TrimSpace(value)), `"`)
	if len(text) > shownMax {
		return strings.ToValidUTF8(text[:shownMax], "") + "..."
	}
	return text
}

func (p *Parser) scalar(f *Field) error {
	var text []byte
	var err error
	c := p.scan.Peek()
	switch c {
	case '"':
		text, err = p.scan.String()
	case 'n':
		_, err = p.scan.Literal()
		return err
	case 't', 'f':
		var word string
		word, err = p.scan.Literal()
		text = []byte(word)
	case '{':
		return apierror.Illegal("Cannot parse object as %s", f.Type)
	default:
		text, _, err = p.scan.Number()
	}
	if err != nil {
		return err
	}
	return p.typed(f, text, c)
}

// typed adds the value; first is the first character of its JSON text.
func (p *Parser) typed(f *Field, text []byte, first byte) error {
	v := Value{Slot: f.Slot, Kind: f.Type.Kind()}
	var err error
	switch {
	case f.Type.IsText():
		v.Bytes = text
	case f.Type.IsKeyword():
		if f.IgnoreAbove == 0 && len(text) > keywordBytesMax {
			return apierror.Illegal("Document contains at least one immense term in field=\"%s\" (whose UTF8 encoding is longer than the max length %d)", f.Path, keywordBytesMax)
		}
		v.Bytes = text
	case f.Type == Boolean:
		v.Int, err = parseBoolean(text, first)
	case f.Type == Date:
		v.Int, _, err = f.Dates.Parse(string(text), time.UTC)
		if err != nil {
			err = apierror.Illegal("%s", err)
		}
	case f.Type == IP:
		v.Bytes, err = p.address(text)
	case first == 't' || first == 'f' || !f.coerce && first == '"':
		return apierror.Illegal("For input string: \"%s\"", text)
	case len(text) == 0:
		return nil
	case f.Type.IsInteger():
		v.Int, err = f.ParseInteger(string(text))
	default:
		v.Float, err = f.ParseFloat(string(text))
	}
	if err != nil {
		return err
	}
	p.values = append(p.values, v)
	return nil
}

func parseBoolean(text []byte, first byte) (int64, error) {
	switch {
	case string(text) == "true":
		return 1, nil
	case string(text) == "false", len(text) == 0 && first == '"':
		return 0, nil
	default:
		return 0, apierror.Illegal("Failed to parse value [%s] as only [true] or [false] are allowed.", text)
	}
}

func (p *Parser) address(text []byte) ([]byte, error) {
	addr, err := netip.ParseAddr(string(text))
	if err != nil || addr.Zone() != "" {
		return nil, apierror.Illegal("'%s' is not an IP string literal.", text)
	}
	raw := addr.As16()
	start := len(p.ips)
	p.ips = append(p.ips, raw[:]...)
	return p.ips[start:len(p.ips):len(p.ips)], nil
}

// ParseInteger reads a whole number of the field's range; a fraction is cut off.
func (f *Field) ParseInteger(text string) (int64, error) {
	low, high := f.Type.bounds()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		x, floatErr := strconv.ParseFloat(text, 64)
		if floatErr != nil && !math.IsInf(x, 0) || math.IsNaN(x) {
			return 0, apierror.Illegal("For input string: \"%s\"", text)
		}
		if x < -9.223372036854775e18 || x > 9.223372036854775e18 {
			return 0, apierror.Illegal("Value [%s] is out of range for a %s", text, f.Type)
		}
		n = int64(x)
	}
	if n < low || n > high {
		return 0, apierror.Illegal("Value [%s] is out of range for a %s", text, f.Type)
	}
	return n, nil
}

// ParseFloat reads a number and rounds it to the field's precision.
func (f *Field) ParseFloat(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(x, 0) {
		return 0, apierror.Illegal("For input string: \"%s\"", text)
	}
	x = f.Round(x)
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, apierror.Illegal("[%s] supports only finite values, but got [%s]", f.Type, text)
	}
	return x, nil
}

// Round rounds a number to what the field's type can hold.
func (f *Field) Round(x float64) float64 {
	switch f.Type {
	case Float:
		return float64(float32(x))
	case HalfFloat:
		return roundHalf(x)
	default:
		return x
	}
}

// roundHalf rounds to the 11 significant bits of half_float.
func roundHalf(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	if math.Abs(x) >= 65520 {
		return math.Inf(int(math.Copysign(1, x)))
	}
	exponent := max(math.Floor(math.Log2(math.Abs(x))), -14)
	step := math.Exp2(exponent - 10)
	return math.RoundToEven(x/step) * step
}
