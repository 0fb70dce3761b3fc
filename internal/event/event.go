package event

import (
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/record"
)

// Names of fields that this package itself sets.
const (
	FieldTimestamp    = "@timestamp"
	FieldMessage      = "message"
	FieldTags         = "tags"
	FieldErrorMessage = "error.message"
	FieldLogLevel     = "log.level"
	FieldLogFilePath  = "log.file.path"
	FieldLogFileID    = "log.file.id"
	FieldLogOffset    = "log.offset"
	FieldLogFlags     = "log.flags"
	FieldHostName     = "host.name"
	FieldAgentID      = "agent.id"
	FieldIngested     = "event.ingested"
	// FieldOriginal holds the line as it was, where a processor gave message
	// another value.
	FieldOriginal = "event.original"
	// FieldOriginalBase64 holds the line's bytes in base64 where they are not
	// valid UTF-8, so that message could not hold them as they are.
	FieldOriginalBase64 = "event.original_base64"
)

// TagParseFailure marks an event that a processor could not parse.
const TagParseFailure = "parse_failure"

// timestampFormat is how @timestamp and event.ingested are written: UTC, with
// a fixed number of digits, so that text order is time order.
const timestampFormat = "2006-01-02T15:04:05.000000000Z"

// indexFrom is the number of fields from which names are looked up in a map.
const indexFrom = 24

// Event is one log event.
type Event struct {
	// Timestamp is the time of the event, @timestamp in documents.
	Timestamp time.Time
	// RecordTime is the record's own timestamp: when the agent read the line.
	// It is the zero time for a record that has none.
	RecordTime time.Time
	// Topic, Partition and Offset are the place of the record.
	Topic     string
	Partition int32
	Offset    int64
	// Origin says which line of which file it is.
	Origin record.Origin

	// fields are in the order in which they were first set.
	// Invariant: names are unique, none is "@timestamp".
	fields []Field
	// index maps names to positions in fields once there are indexFrom of them.
	index map[string]int
	// steps is scratch of the writer, kept between events.
	steps []int32
}

// DocumentID returns the identity of the event, the _id of its document.
func (e *Event) DocumentID() string {
	return record.DocumentID(e.Origin, e.Topic, e.Partition, e.Offset)
}

// Fields returns all fields but @timestamp in the order in which they were
// first set. The slice is valid until the next change of the event.
func (e *Event) Fields() []Field { return e.fields }

// Get returns the value of a field; the zero Value (KindMissing) when there is
// none of that name.
func (e *Event) Get(name string) Value {
	if i := e.find(name); i >= 0 {
		return e.fields[i].Value
	}
	if name == FieldTimestamp {
		return String(FormatTime(e.Timestamp))
	}
	return Value{}
}

// Text returns the field's value as text, "" when it is missing.
func (e *Event) Text(name string) string { return e.Get(name).Text() }

// Has reports whether there is a field of that name or one below it.
func (e *Event) Has(name string) bool {
	if name == FieldTimestamp || e.find(name) >= 0 {
		return true
	}
	for i := range e.fields {
		if isBelow(e.fields[i].Name, name) {
			return true
		}
	}
	return false
}

// isBelow reports whether name is a field inside the object parent.
func isBelow(name, parent string) bool {
	return len(name) > len(parent) && name[len(parent)] == '.' && strings.HasPrefix(name, parent)
}

func (e *Event) find(name string) int {
	if e.index != nil {
		if i, ok := e.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range e.fields {
		if e.fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Set sets a field, over any earlier value of the same name. An object is set
// field by field. Under "@timestamp" only text in ISO 8601 is taken; the
// result says whether the value was.
func (e *Event) Set(name string, v Value) bool {
	switch {
	case name == FieldTimestamp:
		t, ok := parseISO(v.str, time.UTC)
		if v.kind != KindString || !ok {
			return false
		}
		e.Timestamp = t
		return true
	case v.kind == KindMissing:
		return false
	case v.kind == KindObject:
		return e.SetObject(name, v.more.fields)
	}
	if i := e.find(name); i >= 0 {
		e.fields[i].Value = v
		return true
	}
	e.add(name, v)
	return true
}

// SetObject sets each field of an object under the name that it has inside
// parent.
func (e *Event) SetObject(parent string, fields []Field) bool {
	ok := true
	for _, f := range fields {
		ok = e.Set(parent+"."+f.Name, f.Value) && ok
	}
	return ok
}

// SetString sets a text field.
func (e *Event) SetString(name, value string) { e.Set(name, String(value)) }

// SetMessage gives message another text. The first one, the line as it was,
// is kept in event.original.
func (e *Event) SetMessage(text string) {
	if old := e.Get(FieldMessage); old.kind == KindString && old.str != text && e.find(FieldOriginal) < 0 {
		e.add(FieldOriginal, old)
	}
	e.Set(FieldMessage, String(text))
}

// add appends a field whose name is known to be new.
func (e *Event) add(name string, v Value) {
	e.fields = append(e.fields, Field{name, v})
	switch {
	case e.index != nil:
		e.index[name] = len(e.fields) - 1
	case len(e.fields) >= indexFrom:
		e.buildIndex()
	}
}

func (e *Event) buildIndex() {
	e.index = make(map[string]int, 2*len(e.fields))
	for i := range e.fields {
		e.index[e.fields[i].Name] = i
	}
}

// Remove removes a field and every field below it, and reports whether there
// was any. @timestamp and message cannot be removed: a document without them
// is not found.
func (e *Event) Remove(name string) bool {
	if name == FieldTimestamp || name == FieldMessage {
		return false
	}
	n := 0
	for i := range e.fields {
		f := e.fields[i]
		if f.Name == name || isBelow(f.Name, name) {
			continue
		}
		e.fields[n] = f
		n++
	}
	removed := n < len(e.fields)
	clear(e.fields[n:])
	e.fields = e.fields[:n]
	if removed {
		e.index = nil
		if n >= indexFrom {
			e.buildIndex()
		}
	}
	return removed
}

// AddTag adds a tag once.
func (e *Event) AddTag(tag string) {
	old := e.Get(FieldTags)
	var tags []Value
	switch old.kind {
	case KindMissing, KindNull:
	case KindList:
		for _, t := range old.more.list {
			if t.kind == KindString && t.str == tag {
				return
			}
		}
		tags = slices.Clip(old.more.list)
	default:
		if old.str == tag {
			return
		}
		tags = []Value{old}
	}
	e.Set(FieldTags, List(append(tags, String(tag))...))
}

// Fail marks the event as one that could not be parsed: the tag parse_failure
// and the reason in error.message. Of several reasons the first is kept.
func (e *Event) Fail(reason string) {
	e.AddTag(TagParseFailure)
	if e.find(FieldErrorMessage) < 0 {
		e.SetString(FieldErrorMessage, reason)
	}
}

// Failed reports whether a processor could not parse the event.
func (e *Event) Failed() bool {
	for _, t := range e.Get(FieldTags).List() {
		if t.str == TagParseFailure {
			return true
		}
	}
	return false
}

// FormatTime writes a time as documents hold it: UTC, ISO 8601, with
// nanoseconds and as few digits of them as say the same (none or 3, 6, 9).
func FormatTime(t time.Time) string { return string(appendTime(nil, t)) }
