package storage

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"
)

// Entries of Kafka's index files are big-endian, without header or checksum.
const (
	offsetEntrySize = 8  // int32 offset relative to the base, int32 position
	timeEntrySize   = 12 // int64 timestamp in ms, int32 offset relative to the base
)

// offsetEntry says that the batch whose last offset is base+relative begins at
// position.
type offsetEntry struct{ relative, position uint32 }

// timeEntry says that timestamp is the largest of the segment up to
// base+relative, the last offset of the batch that holds it.
type timeEntry struct {
	timestamp int64
	relative  uint32
}

// segmentIndex is the indexes of a segment that is written: of the offsets and
// times what is not in the files yet, so that memory does not grow with the log; the
// aborted transactions are complete.
type segmentIndex struct {
	// filedOffsets and filedTimes count the entries at the beginning of the
	// index that are in the files only. They do not change: see trim.
	filedOffsets, filedTimes int
	offsets                  growing[offsetEntry]
	times                    growing[timeEntry]
	aborted                  *growing[abortedTxn]
	// lastTime is the last time entry, wherever it is; its timestamp is -1 without
	// one. Only the writer uses it and what follows.
	lastTime timeEntry
	// bytesSinceEntry counts the log's bytes since the last entry.
	bytesSinceEntry int64
}

func newSegmentIndex() *segmentIndex {
	return &segmentIndex{aborted: &growing[abortedTxn]{}, lastTime: timeEntry{timestamp: -1}}
}

// trim returns the index without its entries up to the first offsets and times, which are in the files.
func (x *segmentIndex) trim(offsets, times int) *segmentIndex {
	out := &segmentIndex{
		filedOffsets: offsets, filedTimes: times, aborted: x.aborted,
		lastTime: x.lastTime, bytesSinceEntry: x.bytesSinceEntry,
	}
	for _, e := range x.offsets.view()[offsets-x.filedOffsets:] {
		out.offsets.add(e)
	}
	for _, e := range x.times.view()[times-x.filedTimes:] {
		out.times.add(e)
	}
	return out
}

// add records a batch that was written at position, under Kafka's rule: an
// entry for the first batch after more than interval bytes.
func (x *segmentIndex) add(base, lastOffset, position, size, interval, maxTimestamp, maxTimestampOffset int64) {
	if x.bytesSinceEntry > interval {
		x.offsets.add(offsetEntry{uint32(lastOffset - base), uint32(position)})
		x.addTime(base, maxTimestamp, maxTimestampOffset)
		x.bytesSinceEntry = 0
	}
	x.bytesSinceEntry += size
}

// addTime adds a time entry if it is larger than the last one.
func (x *segmentIndex) addTime(base, timestamp, offset int64) {
	if timestamp < 0 || timestamp <= x.lastTime.timestamp {
		return
	}
	x.lastTime = timeEntry{timestamp, uint32(offset - base)}
	x.times.add(x.lastTime)
}

// full says whether the files would grow beyond bytesMax; one time entry is
// kept free for the end of the segment.
func (x *segmentIndex) full(bytesMax int64) bool {
	return int64(x.filedOffsets+x.offsets.len()+1)*offsetEntrySize > bytesMax || int64(x.filedTimes+x.times.len()+2)*timeEntrySize > bytesMax || x.aborted.len() >= abortedTxnsMax
}

// floorPosition returns the position of the last entry at or before offset, 0
// when there is none.
func floorPosition(entries []offsetEntry, base, offset int64) int64 {
	relative := offset - base
	i := sort.Search(len(entries), func(i int) bool { return int64(entries[i].relative) > relative })
	if i == 0 {
		return 0
	}
	return int64(entries[i-1].position)
}

// floorTime returns the offset up to which all timestamps are below
// timestamp; base when that is not known of any.
func floorTime(entries []timeEntry, base, timestamp int64) int64 {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].timestamp >= timestamp })
	if i == 0 {
		return base
	}
	return base + int64(entries[i-1].relative)
}

func appendOffsetEntries(dst []byte, entries []offsetEntry) []byte {
	for _, e := range entries {
		dst = binary.BigEndian.AppendUint32(dst, e.relative)
		dst = binary.BigEndian.AppendUint32(dst, e.position)
	}
	return dst
}

func appendTimeEntries(dst []byte, entries []timeEntry) []byte {
	for _, e := range entries {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.timestamp))
		dst = binary.BigEndian.AppendUint32(dst, e.relative)
	}
	return dst
}

// decodeOffsetEntries reads an index file of a segment with logSize bytes.
// Offsets and positions must grow. Zeros at the end, which Kafka leaves in a
// preallocated file, are left out. With an error come the entries before it.
func decodeOffsetEntries(b []byte, logSize int64) ([]offsetEntry, error) {
	if len(b)%offsetEntrySize != 0 {
		return nil, fmt.Errorf("length %d is no multiple of %d", len(b), offsetEntrySize)
	}
	entries := make([]offsetEntry, 0, len(b)/offsetEntrySize)
	for i := 0; i < len(b); i += offsetEntrySize {
		e := decodeOffsetEntry(b[i:])
		if e == (offsetEntry{}) {
			break
		}
		var last offsetEntry
		if len(entries) > 0 {
			last = entries[len(entries)-1]
		}
		if e.relative > math.MaxInt32 || int64(e.position) >= logSize || len(entries) > 0 && (e.relative <= last.relative || e.position <= last.position) {
			return entries, fmt.Errorf("entry %d (%d at %d) does not follow (%d at %d) in a log of %d bytes", len(entries), e.relative, e.position, last.relative, last.position, logSize)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// decodeTimeEntries reads a time index file. Timestamps and offsets must grow. With
// an error come the entries before it.
func decodeTimeEntries(b []byte) ([]timeEntry, error) {
	if len(b)%timeEntrySize != 0 {
		return nil, fmt.Errorf("length %d is no multiple of %d", len(b), timeEntrySize)
	}
	entries := make([]timeEntry, 0, len(b)/timeEntrySize)
	for i := 0; i < len(b); i += timeEntrySize {
		e := decodeTimeEntry(b[i:])
		if e == (timeEntry{}) && len(entries) > 0 {
			break
		}
		if e.timestamp < 0 || e.relative > math.MaxInt32 {
			return entries, fmt.Errorf("entry %d (%d at offset %d) is not possible", len(entries), e.timestamp, e.relative)
		}
		if n := len(entries); n > 0 && (e.timestamp <= entries[n-1].timestamp || e.relative <= entries[n-1].relative) {
			return entries, fmt.Errorf("entry %d (%d at offset %d) does not follow (%d at offset %d)", n, e.timestamp, e.relative, entries[n-1].timestamp, entries[n-1].relative)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// sample keeps at most sampledEntriesMax entries, evenly.
func sample(entries []offsetEntry) []offsetEntry {
	step := (len(entries) + sampledEntriesMax - 1) / sampledEntriesMax
	if step <= 1 {
		return append([]offsetEntry(nil), entries...)
	}
	out := make([]offsetEntry, 0, len(entries)/step+1)
	for i := 0; i < len(entries); i += step {
		out = append(out, entries[i])
	}
	return out
}
