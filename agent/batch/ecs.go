package batch

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/jsonquote"
)

// ecsVersion is the version of the Elastic Common Schema of the documents.
const ecsVersion = "8.11.0"

// ecsEncoder writes events as the JSON documents that Filebeat sends to Kafka.
type ecsEncoder struct {
	path  []byte // the file's path, quoted
	after []byte // what follows the event's own fields; the same for all events
}

// ecsConstant is the part of a document that all events of a file share.
type ecsConstant struct {
	Input  map[string]string `json:"input"`
	Host   map[string]string `json:"host"`
	Agent  map[string]string `json:"agent"`
	ECS    map[string]string `json:"ecs"`
	Fields map[string]string `json:"fields,omitempty"`
}

func newECSEncoder(s *Settings, path string) *ecsEncoder {
	c := ecsConstant{
		Input: map[string]string{"type": "filestream"},
		Host:  map[string]string{"name": s.Host},
		Agent: map[string]string{"id": s.Agent, "type": "millrace"},
		ECS:   map[string]string{"version": ecsVersion},
	}
	if len(s.Fields) > 0 {
		c.Fields = map[string]string{}
		for _, f := range s.Fields {
			c.Fields[f.Name] = f.Value
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic("batch: maps of strings always marshal: " + err.Error())
	}
	b[0] = ','
	return &ecsEncoder{path: jsonquote.Append(nil, path), after: b}
}

// encode appends the document of ev to dst. A document longer than limit (escapes can make it six times as long as its
// line) is cut in its message.
func (e *ecsEncoder) encode(dst []byte, ev *Event, timeMs int64, limit int) []byte {
	from := len(dst)
	for {
		dst = e.document(dst[:from], ev, timeMs)
		size := len(dst) - from
		if size <= limit || len(ev.Value) == 0 {
			return dst
		}
		// Bytes beyond the limit are escapes of the message or the constant part;
		// each round at least halves the excess or a quarter of the message goes.
		keep := min(len(ev.Value)*limit/size, len(ev.Value)*3/4)
		ev.Value = cutValue(ev.Value, keep)
		ev.Flags |= FlagCut
	}
}

func (e *ecsEncoder) document(dst []byte, ev *Event, timeMs int64) []byte {
	dst = append(dst, `{"@timestamp":"`...)
	dst = time.UnixMilli(timeMs).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","message":`...)
	dst = jsonquote.Append(dst, ev.Value)
	if !utf8.Valid(ev.Value) {
		dst = append(dst, `,"message_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, ev.Value)
		dst = append(dst, '"')
	}
	dst = append(append(dst, `,"log":{"file":{"path":`...), e.path...)
	dst = strconv.AppendInt(append(dst, `},"offset":`...), ev.Start, 10)
	dst = append(dst, '}')
	return append(dst, e.after...)
}
