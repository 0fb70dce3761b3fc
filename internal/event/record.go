package event

import (
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/internal/record"
)

// Record is a Kafka record, as much of it as an event is made of.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	// Timestamp is the record's CreateTime; the zero time where it has none.
	Timestamp time.Time
	Value     []byte
	Headers   []record.Header
}

// FromMessage makes an event of a message that sarama has consumed; ingested
// is the time now. It keeps no slice of the message.
func FromMessage(m *sarama.ConsumerMessage, ingested time.Time) *Event {
	headers := make([]record.Header, len(m.Headers))
	for i, h := range m.Headers {
		headers[i] = record.Header{Key: h.Key, Value: h.Value}
	}
	return FromRecord(Record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset,
		Timestamp: m.Timestamp, Value: m.Value, Headers: headers,
	}, ingested)
}

// FromRecord makes an event of a record: message, @timestamp (the record's
// timestamp until a processor finds a better one), log.file.path, log.file.id
// (the file's identity, which with log.offset names a line for ever), log.offset,
// host.name, agent.id, the input's fields, and event.ingested. Bytes of the
// value that are not UTF-8 become U+FFFD in message; the value as it was is then
// in event.original_base64.
func FromRecord(r Record, ingested time.Time) *Event {
	e := &Event{
		Timestamp: r.Timestamp, RecordTime: r.Timestamp,
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Origin: record.ParseOrigin(r.Headers),
		fields: make([]Field, 0, 16),
	}
	if r.Timestamp.UnixMilli() <= 0 {
		e.Timestamp, e.RecordTime = ingested, time.Time{}
	}
	e.setMessage(r.Value)
	e.addText(FieldHostName, e.Origin.Host)
	e.addText(FieldLogFilePath, e.Origin.Path)
	if e.Origin.File != "" {
		e.add(FieldLogFileID, String(validText(e.Origin.File)))
		e.add(FieldLogOffset, Int(e.Origin.Offset))
	}
	e.addText(FieldAgentID, e.Origin.Agent)
	if e.Origin.Flags != "" {
		e.add(FieldLogFlags, flagList(e.Origin.Flags))
	}
	e.add(FieldIngested, String(FormatTime(ingested)))
	for _, h := range e.Origin.Fields {
		e.setInputField(h)
	}
	return e
}

func (e *Event) setMessage(value []byte) {
	if utf8.Valid(value) {
		e.add(FieldMessage, String(string(value)))
		return
	}
	e.add(FieldMessage, String(strings.ToValidUTF8(string(value), "\uFFFD")))
	e.add(FieldOriginalBase64, String(base64.StdEncoding.EncodeToString(value)))
}

func (e *Event) addText(name, value string) {
	if value != "" {
		e.add(name, String(validText(value)))
	}
}

// setInputField sets a field of the agent's input. A name that is already
// taken by what the record itself says is kept under "fields.".
func (e *Event) setInputField(h record.Header) {
	name, ok := CleanName(string(h.Key))
	if !ok {
		return
	}
	if name == FieldTimestamp || e.clashes(name) {
		name = "fields." + name
	}
	e.Set(name, String(validText(string(h.Value))))
}

// clashes reports whether a field of that name, above it or below it is set.
func (e *Event) clashes(name string) bool {
	for i := range e.fields {
		have := e.fields[i].Name
		if have == name || isBelow(have, name) || isBelow(name, have) {
			return true
		}
	}
	return false
}

func flagList(flags string) Value {
	var list []Value
	for f := range strings.SplitSeq(flags, ",") {
		if f != "" {
			list = append(list, String(validText(f)))
		}
	}
	return List(list...)
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
