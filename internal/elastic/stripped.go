package elastic

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/event"
)

// TagMappingFailure marks a document that Elasticsearch refused and that was
// therefore indexed with message, metadata and the reason only.
const TagMappingFailure = "mapping_failure"

// reasonLengthMax bounds error.message.
const reasonLengthMax = 2000

// keptFields are what remains of a refused document.
func keptFields() []string {
	return []string{
		event.FieldMessage, event.FieldHostName, event.FieldLogFilePath, event.FieldLogFileID, event.FieldLogOffset,
		event.FieldLogFlags, event.FieldAgentID, event.FieldIngested, event.FieldOriginal,
		event.FieldOriginalBase64, "kafka.topic", "event.dataset",
	}
}

// stripped returns a document with message, metadata and the reason only; not
// ok when doc is not a JSON object.
func stripped(doc []byte, reason string) (out []byte, ok bool) {
	var full map[string]any
	if err := json.Unmarshal(doc, &full); err != nil {
		return nil, false
	}
	ev := &event.Event{}
	if ts, isText := full[event.FieldTimestamp].(string); !isText || !ev.Set(event.FieldTimestamp, event.String(ts)) {
		return nil, false
	}
	for _, name := range keptFields() {
		if v, found := lookup(full, name); found {
			ev.Set(name, v)
		}
	}
	ev.AddTag(TagMappingFailure)
	ev.SetString(event.FieldErrorMessage, shortened(reason))
	return ev.AppendJSON(nil), true
}

// lookup finds a scalar by its dotted name.
func lookup(doc map[string]any, name string) (event.Value, bool) {
	var at any = doc
	for part := range event.NameParts(name) {
		object, ok := at.(map[string]any)
		if !ok {
			return event.Value{}, false
		}
		at = object[part]
	}
	switch v := at.(type) {
	case string:
		return event.String(v), true
	case float64:
		return event.Int(int64(v)), true
	default:
		return event.Value{}, false
	}
}

func shortened(reason string) string {
	if len(reason) <= reasonLengthMax {
		return reason
	}
	end := reasonLengthMax
	for end > 0 && !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end] + "…"
}
