package mapping

import (
	"github.com/millrace/millrace/search/column"
)

// Type is the type of a field, under Elasticsearch's name.
type Type string

// Types of fields. Others are refused when they are declared.
const (
	Text          Type = "text"
	MatchOnlyText Type = "match_only_text"
	Keyword       Type = "keyword"
	Wildcard      Type = "wildcard"
	Long          Type = "long"
	Integer       Type = "integer"
	Short         Type = "short"
	Byte          Type = "byte"
	Double        Type = "double"
	Float         Type = "float"
	HalfFloat     Type = "half_float"
	Boolean       Type = "boolean"
	Date          Type = "date"
	IP            Type = "ip"
	ObjectType    Type = "object"
)

// Kind returns the physical type of the field's column.
func (t Type) Kind() column.Kind {
	switch t {
	case Long, Integer, Short, Byte, Boolean, Date:
		return column.Int
	case Double, Float, HalfFloat:
		return column.Float
	default:
		return column.Bytes
	}
}

// IsText reports whether the field is analysed.
func (t Type) IsText() bool { return t == Text || t == MatchOnlyText }

// IsKeyword reports whether the field is matched as a whole.
func (t Type) IsKeyword() bool { return t == Keyword || t == Wildcard }

// IsInteger reports whether the field holds whole numbers.
func (t Type) IsInteger() bool { return t == Long || t == Integer || t == Short || t == Byte }

// IsFloat reports whether the field holds floating point numbers.
func (t Type) IsFloat() bool { return t == Double || t == Float || t == HalfFloat }

// bounds of the integer types.
func (t Type) bounds() (low, high int64) {
	switch t {
	case Integer:
		return -1 << 31, 1<<31 - 1
	case Short:
		return -1 << 15, 1<<15 - 1
	case Byte:
		return -1 << 7, 1<<7 - 1
	default:
		return -1 << 63, 1<<63 - 1
	}
}

// Field is one leaf of a mapping or a multi-field of one. It never changes.
type Field struct {
	// Path is the full name, such as log.level or message.keyword.
	Path string
	Type Type
	// Column is the path of the field whose column holds the values: its own,
	// or that of the parent of a multi-field.
	Column string
	// Slot numbers the column within its index; it is the same in all later
	// mappings of the index.
	Slot int
	// IgnoreAbove is the longest value in characters that a keyword holds;
	// longer ones are in _source only. 0 has no limit.
	IgnoreAbove int
	// Index is false for a field that cannot be searched.
	Index bool
	// DocValues is false for a field that cannot be sorted or aggregated.
	DocValues bool
	// Dates reads and writes values of a date.
	Dates DateFormat
	// Subs are the multi-fields.
	Subs []*Field

	ignoreMalformed bool
	coerce          bool
	// spec is the declaration as it is shown.
	spec map[string]any
}

// Aggregatable reports whether the field can be sorted and aggregated on.
func (f *Field) Aggregatable() bool { return f.DocValues && !f.Type.IsText() }
