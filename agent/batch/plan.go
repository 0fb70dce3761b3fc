package batch

// Plan is what is known of a record batch before it is sent: everything that
// is needed to make the same batch again. It is journalled and on disk before the
// first byte of the batch leaves the host.
type Plan struct {
	// ID grows by one per plan of an agent.
	ID uint64
	// FirstSequence is the batch's first sequence under the lane's producer id.
	FirstSequence int32
	// Records of the batch.
	Records int32
	// CreatedMs is when the plan was made, in milliseconds since 1970.
	CreatedMs int64
	// Segments in the order of their records.
	Segments []Segment
}

// Segment is a range of one file whose events follow each other in a batch.
type Segment struct {
	// File is the number of the file's generation in the registry.
	File uint64
	// Settings is the number of the settings that the range is framed with.
	Settings uint32
	// Start is the byte offset of the first event, End the one after the last.
	Start, End int64
	// Records is the number of events between them.
	Records int32
	// TimeMs is the timestamp of all records of the segment.
	TimeMs int64
	// ValueMax cuts values further, after the cluster refused a record for its
	// size; 0 cuts nothing.
	ValueMax int32
	// Moved marks the first record as the file's first in another partition.
	Moved bool
	// Sum is the CRC-32C over all values, each followed by one newline byte.
	Sum uint32
	// TailLen bytes (at most tailMax) before End have the CRC-32C TailSum.
	// They tell at a restart that a file of the right inode still has the
	// bytes that were read from it.
	TailLen uint8
	// TailSum is the checksum of the tail.
	TailSum uint32
}

// TailMax is the largest number of bytes before End that TailSum covers.
const TailMax = 64

// Settings are all settings that decide how bytes of a file become records.
// They are journalled once and named by number, so that a plan can be carried
// out after the configuration has changed.
type Settings struct {
	// Agent and Host are the headers of the same names.
	Agent string `json:"agent"`
	Host  string `json:"host"`
	// Topic that the records are sent to.
	Topic string `json:"topic"`
	// Fields are further headers, sorted by name.
	Fields []Field `json:"fields,omitempty"`
	// Codec is raw or ecs.
	Codec string `json:"codec"`
	// Encoding is a WHATWG name; utf-8 passes bytes as they are.
	Encoding string `json:"encoding"`
	// LineMax is the length in bytes at which a line is cut.
	LineMax int `json:"line_max"`
	// Multiline joins lines while its pattern is not empty.
	Multiline Multiline `json:"multiline"`
	// Compression of the batch: none, gzip, snappy, lz4 or zstd.
	Compression string `json:"compression"`
}

// Field is a header of every record of an input.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Multiline says how lines are joined into events, see configs.Multiline.
type Multiline struct {
	Pattern  string `json:"pattern,omitempty"`
	Negate   bool   `json:"negate,omitempty"`
	Match    string `json:"match,omitempty"`
	LinesMax int    `json:"lines_max,omitempty"`
}

// AddSequence returns the sequence n records after seq; sequences wrap from
// 2^31-1 to 0 (Kafka: DefaultRecordBatch.incrementSequence).
func AddSequence(seq, n int32) int32 {
	return int32((int64(seq) + int64(n)) & 0x7fffffff)
}

// SequenceReached reports whether sequence last is end or one after it. The two are less than 2^30 records apart.
func SequenceReached(last, end int32) bool {
	return (int64(last)-int64(end))&0x7fffffff < 1<<30
}
