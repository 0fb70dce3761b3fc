package batch

import (
	"hash/crc32"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/internal/record"
)

// Source is a file that events come from, with all that its records have in
// common.
type Source struct {
	// File and SettingsID are the numbers of the file's generation and of its settings.
	File       uint64
	SettingsID uint32
	// Settings, with the framer and headers made of them.
	Settings *Settings
	Framer   *Framer
	// ID and Path are the headers file and path.
	ID, Path string

	headers    []sarama.RecordHeader
	headerSize int
	ecs        *ecsEncoder
}

// NewSource prepares the records of one file.
func NewSource(file uint64, id, path string, settingsID uint32, s *Settings, f *Framer) *Source {
	src := &Source{File: file, SettingsID: settingsID, Settings: s, Framer: f, ID: id, Path: path}
	add := func(k, v string) {
		src.headers = append(src.headers, sarama.RecordHeader{Key: []byte(k), Value: []byte(v)})
		src.headerSize += len(k) + len(v) + 10
	}
	add(record.HeaderHost, s.Host)
	add(record.HeaderPath, path)
	add(record.HeaderFile, id)
	add(record.HeaderAgent, s.Agent)
	for _, field := range s.Fields {
		add(field.Name, field.Value)
	}
	if s.Codec == "ecs" {
		src.ecs = newECSEncoder(s, path)
	}
	return src
}

// recordOverhead bounds the bytes of a record besides its value and its
// source's headers: lengths, deltas, and the headers offset and flags.
const recordOverhead = 96

// entry is one record of a batch that is being built.
type entry struct {
	valueAt, valueLen int
	offset            int64
	segment           int32
	flags             Flags
}

// Batch collects the events of one partition.
type Batch struct {
	// Segments of the batch, in the order of its records.
	Segments []Segment
	// Opened is when the first event was added, by the caller's clock.
	Opened time.Time

	sources []*Source // by segment
	entries []entry
	values  []byte
	sized   int // upper bound of the encoded records
	closed  bool

	records []sarama.Record
	ptrs    []*sarama.Record
	headers []*sarama.RecordHeader
	own     []sarama.RecordHeader
	digits  []byte
}

// Reset empties b for the next use; its memory is kept.
func (b *Batch) Reset() {
	clear(b.sources)
	clear(b.records)
	*b = Batch{
		Segments: b.Segments[:0], sources: b.sources[:0], entries: b.entries[:0], values: b.values[:0],
		records: b.records[:0], ptrs: b.ptrs[:0], headers: b.headers[:0], own: b.own[:0], digits: b.digits[:0],
	}
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.entries) }

// Bytes is the size of the records before compression, at most.
func (b *Batch) Bytes() int { return b.sized }

// Held is the number of bytes of memory that the batch pins.
func (b *Batch) Held() int { return cap(b.values) }

// Fits reports whether an event with a value of n bytes can be added without
// the batch growing past limit. An empty batch takes any event.
func (b *Batch) Fits(src *Source, n, limit int) bool {
	return len(b.entries) == 0 || b.sized+n+src.headerSize+recordOverhead <= limit
}

// Break ends the last segment: the next event begins another. It is needed after an event
// whose end was decided by time.
func (b *Batch) Break() { b.closed = true }

// Add appends ev, which was read from src at nowMs, and copies its value.
// moved marks the file's first record in another partition; valueMax is as in [Segment].
func (b *Batch) Add(src *Source, ev Event, nowMs int64, moved bool, valueMax int32) {
	n := len(b.Segments)
	if n == 0 || b.closed || moved || b.sources[n-1] != src || b.Segments[n-1].End != ev.Start {
		if n > 0 {
			nowMs = max(nowMs, b.Segments[n-1].TimeMs)
		}
		b.Segments = append(b.Segments, Segment{
			File: src.File, Settings: src.SettingsID, Start: ev.Start, TimeMs: nowMs, ValueMax: valueMax, Moved: moved,
		})
		b.sources = append(b.sources, src)
		b.closed = false
		n++
	}
	seg := &b.Segments[n-1]
	if moved {
		ev.Flags |= FlagMoved
	}
	at := len(b.values)
	b.addValue(src, &ev, seg.TimeMs, int(valueMax))
	size := len(b.values) - at
	b.values = append(b.values, '\n')
	seg.Sum = crc32.Update(seg.Sum, castagnoli, b.values[at:])
	seg.End = ev.End
	seg.Records++
	b.entries = append(b.entries, entry{at, size, ev.Start, int32(n - 1), ev.Flags})
	b.sized += size + src.headerSize + recordOverhead
}

// SetTail notes the last bytes before the end of the last segment. tail holds
// the file's bytes before that end; at most [TailMax] of them are used.
func (b *Batch) SetTail(tail []byte) {
	if n := len(b.Segments); n > 0 {
		tail = tail[max(0, len(tail)-TailMax):]
		b.Segments[n-1].TailLen, b.Segments[n-1].TailSum = uint8(len(tail)), TailSum(tail)
	}
}

// TailSum is the checksum of a segment's tail.
func TailSum(tail []byte) uint32 { return crc32.Checksum(tail, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// addValue appends the record value of ev to b.values.
func (b *Batch) addValue(src *Source, ev *Event, timeMs int64, valueMax int) {
	limit := src.Settings.LineMax
	if valueMax > 0 {
		limit = min(limit, valueMax)
	}
	if src.ecs != nil {
		b.values = src.ecs.encode(b.values, ev, timeMs, limit)
		return
	}
	if len(ev.Value) > limit {
		ev.Value = cutValue(ev.Value, limit)
		ev.Flags |= FlagCut
	}
	b.values = append(b.values, ev.Value...)
}

// Plan returns the plan of the batch, without id and sequence. The segments are shared.
func (b *Batch) Plan() Plan {
	return Plan{Records: int32(len(b.entries)), Segments: b.Segments}
}

// Encode returns the batch for sarama, under the given producer. The result
// uses the memory of b until [Batch.Reset].
func (b *Batch) Encode(producerID int64, epoch int16, sequence int32) *sarama.RecordBatch {
	b.makeRecords()
	first, last := b.Segments[0].TimeMs, b.Segments[len(b.Segments)-1].TimeMs
	return &sarama.RecordBatch{
		Version:         2,
		Codec:           codec(b.sources[0].Settings.Compression),
		LastOffsetDelta: int32(len(b.entries) - 1),
		FirstTimestamp:  time.UnixMilli(first),
		MaxTimestamp:    time.UnixMilli(last),
		ProducerID:      producerID,
		ProducerEpoch:   epoch,
		FirstSequence:   sequence,
		Records:         b.ptrs,
		// The broker ignores it; -1 is what producers send.
		PartitionLeaderEpoch: -1,
		CompressionLevel:     sarama.CompressionLevelDefault,
	}
}

// makeRecords fills the record slabs, once: a batch that is sent again uses the
// same.
func (b *Batch) makeRecords() {
	if len(b.ptrs) == len(b.entries) {
		return
	}
	n, headers, flagged := len(b.entries), 0, 0
	for _, e := range b.entries {
		headers += len(b.sources[e.segment].headers) + 1
		if e.flags != 0 {
			headers++
			flagged++
		}
	}
	// No append below may move a slab: pointers into them are kept.
	b.records = grown(b.records, n)
	b.ptrs = grown(b.ptrs, n)
	b.headers = grown(b.headers, headers)
	b.own = grown(b.own, n+flagged)
	b.digits = grown(b.digits, 20*n)
	first := b.Segments[0].TimeMs
	for i, e := range b.entries {
		src := b.sources[e.segment]
		from := len(b.headers)
		for j := range src.headers {
			b.headers = append(b.headers, &src.headers[j])
		}
		at := len(b.digits)
		b.digits = strconv.AppendInt(b.digits, e.offset, 10)
		b.addHeader(headerOffset, b.digits[at:])
		if e.flags != 0 {
			b.addHeader(headerFlags, flagNames[e.flags])
		}
		b.records = append(b.records, sarama.Record{
			Headers:        b.headers[from:len(b.headers):len(b.headers)],
			TimestampDelta: time.Duration(b.Segments[e.segment].TimeMs-first) * time.Millisecond,
			OffsetDelta:    int64(i),
			Value:          b.values[e.valueAt : e.valueAt+e.valueLen : e.valueAt+e.valueLen],
		})
		b.ptrs = append(b.ptrs, &b.records[i])
	}
}

func (b *Batch) addHeader(key, value []byte) {
	b.own = append(b.own, sarama.RecordHeader{Key: key, Value: value})
	b.headers = append(b.headers, &b.own[len(b.own)-1])
}

// grown returns s emptied, with room for n elements.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n+n/8)
	}
	return s[:0]
}

var (
	headerOffset = []byte(record.HeaderOffset)
	headerFlags  = []byte(record.HeaderFlags)

	// flagNames holds the header for each set of flags.
	flagNames = [8][]byte{
		FlagCut:                             []byte(record.FlagCut),
		FlagMultiline:                       []byte(record.FlagMultiline),
		FlagCut | FlagMultiline:             []byte(record.FlagCut + "," + record.FlagMultiline),
		FlagMoved:                           []byte(record.FlagMoved),
		FlagCut | FlagMoved:                 []byte(record.FlagCut + "," + record.FlagMoved),
		FlagMultiline | FlagMoved:           []byte(record.FlagMultiline + "," + record.FlagMoved),
		FlagCut | FlagMultiline | FlagMoved: []byte(record.FlagCut + "," + record.FlagMultiline + "," + record.FlagMoved),
	}
)

// codec maps the setting to sarama's; what is not known was refused before.
func codec(name string) sarama.CompressionCodec {
	var c sarama.CompressionCodec
	if err := c.UnmarshalText([]byte(name)); err != nil {
		return sarama.CompressionNone
	}
	return c
}
