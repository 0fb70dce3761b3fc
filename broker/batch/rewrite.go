package batch

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Opened is a batch whose records are decompressed, to look at their keys and
// to write it again with some of them only.
type Opened struct {
	Batch
	records []byte
}

// Open decompresses the records to at most max bytes. It returns ErrCorrupt,
// ErrCodec or ErrTooLarge. Without compression nothing is copied.
func (b *Batch) Open(max int) (Opened, error) {
	records, err := decompress(b.Codec(), b.Raw[HeaderSize:], max)
	return Opened{Batch: *b, records: records}, err
}

// Entry is one record of an opened batch. Its bytes are those of the batch.
type Entry struct {
	// Offset in the partition and Timestamp in ms since 1970.
	Offset, Timestamp int64
	// Key is nil for null.
	Key []byte
	// Tombstone says that the value is null.
	Tombstone bool
	// attributes and rest are stored again as they are; rest begins with the
	// offset delta, which counts from a base offset that never changes.
	attributes byte
	rest       []byte
}

// Entries yields the records. It ends after the first error, which is ErrCorrupt.
func (o *Opened) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		d := decoder{b: o.records}
		for i := range o.Count {
			e := o.decodeEntry(&d)
			if d.bad {
				yield(Entry{}, fmt.Errorf("%w: record %d of %d does not parse", ErrCorrupt, i, o.Count))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if len(d.b) != 0 {
			yield(Entry{}, fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(d.b)))
		}
	}
}

func (o *Opened) decodeEntry(d *decoder) Entry {
	body := decoder{b: d.take(d.varint())}
	if d.bad || len(body.b) < minRecordSize-1 {
		d.bad = true
		return Entry{}
	}
	e := Entry{attributes: body.b[0]}
	body.take(1)
	e.Timestamp = o.BaseTimestamp + body.varint()
	if o.IsLogAppendTime() {
		e.Timestamp = o.MaxTimestamp
	}
	e.rest = body.b
	e.Offset = o.BaseOffset + body.varint()
	e.Key = body.nullable()
	size := body.varint()
	e.Tombstone = size == -1
	if !e.Tombstone {
		body.take(size)
	}
	if body.varint() < 0 || e.Offset < o.BaseOffset || e.Offset > o.LastOffset() {
		body.bad = true
	}
	d.bad = body.bad
	return e
}

// DeleteHorizon returns the time in ms since 1970 from which the batch's
// tombstones or marker may go (KIP-534); false while none is set.
func (h *Header) DeleteHorizon() (ms int64, ok bool) {
	return h.BaseTimestamp, h.HasDeleteHorizon()
}

// AppendWith appends the batch to dst with the kept entries only, compressed
// as it was: same base and last offset, producer and epoch. A horizonMs that
// is not negative becomes the delete horizon, which takes the place of the base
// timestamp. There must be at least one entry.
func (o *Opened) AppendWith(dst []byte, kept []Entry, horizonMs int64) ([]byte, error) {
	if len(kept) == 0 {
		return dst, fmt.Errorf("%w: no records are left", ErrInvalid)
	}
	start := len(dst)
	dst = append(dst, o.Raw[:HeaderSize]...)
	base, attributes := kept[0].Timestamp, uint16(o.Attributes)
	if horizonMs >= 0 {
		base, attributes = horizonMs, attributes|attrDeleteHorizonSet
	}
	body := dst
	if o.Codec() != None {
		body = make([]byte, 0, len(o.records))
	}
	top := int64(NoTimestamp)
	for i := range kept {
		top = max(top, kept[i].Timestamp)
		body = kept[i].append(body, base)
	}
	if o.IsLogAppendTime() {
		top = o.MaxTimestamp
	}
	if o.Codec() == None {
		dst = body
	} else {
		var err error
		if dst, err = compress(o.Codec(), dst, body); err != nil {
			return dst, err
		}
	}
	if len(dst)-start > math.MaxInt32 {
		return dst, fmt.Errorf("%w: batch of %d bytes", ErrTooLarge, len(dst)-start)
	}
	patchHeader(dst[start:], attributes, base, top, int32(len(kept)))
	return dst, nil
}

// append encodes the record with its timestamp relative to base.
func (e *Entry) append(dst []byte, base int64) []byte {
	delta := e.Timestamp - base
	dst = binary.AppendVarint(dst, int64(1+varintSize(delta)+len(e.rest)))
	dst = append(dst, e.attributes)
	dst = binary.AppendVarint(dst, delta)
	return append(dst, e.rest...)
}

// AppendEmpty appends the batch's header to dst, without records: it keeps
// offsets and the producer's last sequence when all records are gone.
func (b *Batch) AppendEmpty(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, b.Raw[:HeaderSize]...)
	attributes := uint16(b.Attributes) &^ (codecMask | attrDeleteHorizonSet)
	patchHeader(dst[start:], attributes, NoTimestamp, b.MaxTimestamp, 0)
	return dst
}

// patchHeader writes what changes when a batch loses records.
func patchHeader(raw []byte, attributes uint16, base, top int64, count int32) {
	be := binary.BigEndian
	be.PutUint32(raw[posLength:], uint32(len(raw)-LengthOverhead))
	be.PutUint16(raw[posAttributes:], attributes)
	be.PutUint64(raw[posBaseTimestamp:], uint64(base))
	be.PutUint64(raw[posMaxTimestamp:], uint64(top))
	be.PutUint32(raw[posCount:], uint32(count))
	sealCRC(raw)
}
