// Package record names what a Millrace record carries in its Kafka headers,
// and derives from it the identity of a line.
//
// The agent writes these headers, pipelines, alerting and the console read
// them. A record from any other producer has none of them; its identity is then
// its topic, partition and offset. Header values are UTF-8 text; numbers are
// decimal.
package record

import "strconv"

// Keys of the headers that the agent writes. Input fields travel as headers
// under their own names; a name of this list is refused there.
const (
	// HeaderHost is the name of the host that the line was read on.
	HeaderHost = "host"
	// HeaderPath is the path under which the file was found.
	HeaderPath = "path"
	// HeaderFile is the file's identity: minted once per generation, never
	// used again, and unique over all agents.
	HeaderFile = "file"
	// HeaderOffset is the byte offset of the line's first byte in the file.
	HeaderOffset = "offset"
	// HeaderAgent is the agent's id.
	HeaderAgent = "agent"
	// HeaderFlags lists what was done to the line, separated by commas.
	HeaderFlags = "flags"
)

// Flags of a line.
const (
	// FlagCut marks a line that was longer than line_max.
	FlagCut = "cut"
	// FlagMultiline marks an event that was joined from several lines.
	FlagMultiline = "multiline"
	// FlagMoved marks the first line of a file after it has gone to another partition.
	FlagMoved = "moved"
)

// Topics that Millrace itself writes.
const (
	// TopicAlertMatches holds matches of alert rules, keyed by rule and group key.
	TopicAlertMatches = "millrace.alert-matches"
	// TopicAlerts holds raised alerts, keyed by alert id.
	TopicAlerts = "millrace.alerts"
	// TopicDeadLetter holds records that the output refused for good.
	TopicDeadLetter = "millrace.dead-letter"
)

// Header is one key and value of a record.
type Header struct {
	Key, Value []byte
}

// Origin says where a record's line came from.
type Origin struct {
	// Host, Path, File and Agent are the headers of the same names.
	Host, Path, File, Agent string
	// Offset is the byte offset of the line in File; -1 when File is empty.
	Offset int64
	// Flags is the header of the same name.
	Flags string
	// Fields are all further headers, in their order.
	Fields []Header
}

// ParseOrigin reads the headers of a record. Unknown headers become Fields;
// a record without a valid file and offset has an empty File and Offset -1.
// The slices of headers are kept in Fields, not copied.
func ParseOrigin(headers []Header) Origin {
	o := Origin{Offset: -1}
	for _, h := range headers {
		switch string(h.Key) {
		case HeaderHost:
			o.Host = string(h.Value)
		case HeaderPath:
			o.Path = string(h.Value)
		case HeaderFile:
			o.File = string(h.Value)
		case HeaderOffset:
			if n, err := strconv.ParseInt(string(h.Value), 10, 64); err == nil && n >= 0 {
				o.Offset = n
			}
		case HeaderAgent:
			o.Agent = string(h.Value)
		case HeaderFlags:
			o.Flags = string(h.Value)
		default:
			o.Fields = append(o.Fields, h)
		}
	}
	if o.Offset < 0 {
		o.File = ""
	}
	if o.File == "" {
		o.Offset = -1
	}
	return o
}

// DocumentID returns the identity of a record as an Elasticsearch _id: made
// of file and offset for a line of an agent, so that a repeated line has the same
// one, and of topic, partition and offset for any other record.
func DocumentID(o Origin, topic string, partition int32, offset int64) string {
	if o.File != "" {
		return o.File + ":" + strconv.FormatInt(o.Offset, 10)
	}
	return topic + "/" + strconv.FormatInt(int64(partition), 10) + "/" + strconv.FormatInt(offset, 10)
}
