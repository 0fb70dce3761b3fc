package batch

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// DecompressedMax is the default bound of the decompressed size of one batch
// in bytes.
const DecompressedMax = 256 << 20

// minRecordSize is the smallest record: length, attributes, timestamp delta,
// offset delta, null key, null value, no headers.
const minRecordSize = 7

// RecordHeader is one key and value of a record.
type RecordHeader struct {
	Key, Value []byte
}

// Record is one record of a batch.
type Record struct {
	// Offset in the partition. Build ignores it.
	Offset int64
	// Timestamp in ms since 1970, NoTimestamp for none.
	Timestamp int64
	// Key and Value; nil stands for null, which is not the same as empty.
	Key, Value []byte
	// Headers in their order.
	Headers []RecordHeader
}

// Records yields the records of the batch, decompressed to at most
// DecompressedMax bytes. It ends after the first error: ErrCorrupt, ErrCodec or
// ErrTooLarge.
func (b *Batch) Records() iter.Seq2[Record, error] { return b.RecordsMax(DecompressedMax) }

// RecordsMax is Records with a bound for the decompressed size in bytes.
func (b *Batch) RecordsMax(max int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		data, err := decompress(b.Codec(), b.Raw[HeaderSize:], max)
		if err != nil {
			yield(Record{}, err)
			return
		}
		d := decoder{b: data}
		for i := range b.Count {
			r := b.decodeRecord(&d)
			if d.bad {
				yield(Record{}, fmt.Errorf("%w: record %d of %d does not parse", ErrCorrupt, i, b.Count))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if len(d.b) != 0 {
			yield(Record{}, fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(d.b)))
		}
	}
}

func (b *Batch) decodeRecord(d *decoder) Record {
	body := decoder{b: d.take(d.varint())}
	if d.bad || len(body.b) < minRecordSize-1 {
		d.bad = true
		return Record{}
	}
	body.take(1) // attributes, unused
	r := Record{Timestamp: b.BaseTimestamp + body.varint()}
	if b.IsLogAppendTime() {
		r.Timestamp = b.MaxTimestamp
	}
	r.Offset = b.BaseOffset + body.varint()
	r.Key = body.nullable()
	r.Value = body.nullable()
	n := body.varint()
	if n < 0 || n > int64(len(body.b)/2) {
		body.bad = true
	} else if n > 0 {
		r.Headers = make([]RecordHeader, 0, n)
		for range n {
			key := body.nullable()
			body.bad = body.bad || key == nil
			r.Headers = append(r.Headers, RecordHeader{Key: key, Value: body.nullable()})
		}
	}
	d.bad = d.bad || body.bad || len(body.b) != 0
	return r
}

// decoder takes values from the front of b; after an error bad stays true and
// every value is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n int64) []byte {
	if n < 0 || n > int64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) nullable() []byte {
	n := d.varint()
	if n == -1 {
		return nil
	}
	return d.take(n)
}
