package batch

import (
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
)

// Split divides a batch of at least two records into two, without reading the files again. Records, timestamps
// and order stay the same, so the sequences of all later batches stay right. b is
// not changed.
func (b *Batch) Split() (first, second *Batch) {
	k := len(b.entries) / 2
	return b.part(0, k), b.part(k, len(b.entries))
}

// part copies the records [from, to).
func (b *Batch) part(from, to int) *Batch {
	p := &Batch{Opened: b.Opened}
	last := int32(-1)
	for i := from; i < to; i++ {
		e := b.entries[i]
		if e.segment != last {
			seg := b.Segments[e.segment]
			seg.Start, seg.Records, seg.Sum, seg.Moved = e.offset, 0, 0, e.flags&FlagMoved != 0
			p.Segments = append(p.Segments, seg)
			p.sources = append(p.sources, b.sources[e.segment])
			last = e.segment
		}
		p.copyEntry(b, e)
	}
	if to < len(b.entries) && b.entries[to].segment == last {
		seg := &p.Segments[len(p.Segments)-1]
		seg.End, seg.TailLen, seg.TailSum = b.entries[to].offset, 0, 0
	}
	return p
}

// copyEntry appends a record of from to the last segment of b.
func (b *Batch) copyEntry(from *Batch, e entry) {
	seg := &b.Segments[len(b.Segments)-1]
	at := len(b.values)
	b.values = append(b.values, from.values[e.valueAt:e.valueAt+e.valueLen+1]...)
	seg.Sum = crc32.Update(seg.Sum, castagnoli, b.values[at:])
	seg.Records++
	e.valueAt, e.segment = at, int32(len(b.Segments)-1)
	b.entries = append(b.entries, e)
	b.sized += e.valueLen + b.sources[e.segment].headerSize + recordOverhead
}

// shrinkFloor is the value size below which a record is not cut further.
const shrinkFloor = 256

// Shrink cuts the value of a batch's only record to half of its size. It returns false when that would leave
// nothing worth sending.
func (b *Batch) Shrink() bool {
	e := b.entries[0]
	limit := e.valueLen / 2
	if limit < shrinkFloor {
		return false
	}
	seg, src := &b.Segments[0], b.sources[0]
	ev := Event{Start: seg.Start, End: seg.End, Value: append([]byte(nil), b.values[:e.valueLen]...), Flags: e.flags | FlagCut}
	if src.ecs != nil {
		var doc struct {
			Message string `json:"message"`
			Base64  string `json:"message_base64"`
		}
		if json.Unmarshal(ev.Value, &doc) != nil {
			return false
		}
		ev.Value = []byte(doc.Message)
		if original, err := base64.StdEncoding.DecodeString(doc.Base64); err == nil && len(original) > 0 {
			ev.Value = original
		}
	}
	b.values = b.values[:0]
	b.addValue(src, &ev, seg.TimeMs, limit)
	size := len(b.values)
	b.values = append(b.values, '\n')
	seg.Sum, seg.ValueMax = crc32.Checksum(b.values, castagnoli), int32(limit)
	b.sized += size - e.valueLen
	b.entries[0] = entry{0, size, e.offset, 0, ev.Flags}
	b.ptrs = b.ptrs[:0]
	return true
}

// Restamp gives all records the timestamp nowMs, after the cluster refused theirs. ECS documents keep the time
// that is written in them, so such a batch cannot be stamped again.
func (b *Batch) Restamp(nowMs int64) bool {
	for _, src := range b.sources {
		if src.ecs != nil {
			return false
		}
	}
	for i := range b.Segments {
		b.Segments[i].TimeMs = nowMs
	}
	b.ptrs = b.ptrs[:0]
	return true
}
