package batch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Producer identifies the batch of an idempotent producer.
type Producer struct {
	ID       int64
	Epoch    int16
	Sequence int32
}

// Options go with Build. The zero value is a plain, uncompressed batch at offset 0.
type Options struct {
	// BaseOffset and LeaderEpoch are written by the broker again.
	BaseOffset  int64
	LeaderEpoch int32
	// Codec compresses the records.
	Codec Codec
	// Producer is nil without idempotence.
	Producer *Producer
	// Transactional and Control set the attributes of those names.
	Transactional, Control bool
	// LogAppendTime marks the batch's largest timestamp as that of all its records.
	LogAppendTime bool
}

// Build returns the records as one batch. Offsets count from BaseOffset
// without gaps. There must be at least one record.
func Build(o Options, records []Record) ([]byte, error) { return Append(nil, o, records) }

// Append is Build that appends to dst.
func Append(dst []byte, o Options, records []Record) ([]byte, error) {
	if len(records) == 0 || len(records) > math.MaxInt32 {
		return dst, fmt.Errorf("%w: %d records", ErrInvalid, len(records))
	}
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	base, top := records[0].Timestamp, records[0].Timestamp
	var body []byte
	if o.Codec == None {
		body, dst = dst, nil
	}
	for i := range records {
		top = max(top, records[i].Timestamp)
		body = appendRecord(body, int64(i), records[i].Timestamp-base, &records[i])
	}
	if o.Codec == None {
		dst = body
	} else {
		var err error
		if dst, err = compress(o.Codec, dst, body); err != nil {
			return nil, err
		}
	}
	raw := dst[start:]
	if len(raw) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: batch of %d bytes", ErrTooLarge, len(raw))
	}
	putHeader(raw, o, int32(len(records)), base, top)
	return dst, nil
}

func putHeader(raw []byte, o Options, count int32, base, top int64) {
	p := Producer{ID: NoProducerID, Epoch: -1, Sequence: -1}
	if o.Producer != nil {
		p = *o.Producer
	}
	attributes := uint16(o.Codec)
	for _, a := range []struct {
		on  bool
		bit uint16
	}{{o.LogAppendTime, attrLogAppendTime}, {o.Transactional, attrTransactional}, {o.Control, attrControl}} {
		if a.on {
			attributes |= a.bit
		}
	}
	be := binary.BigEndian
	be.PutUint64(raw[posBaseOffset:], uint64(o.BaseOffset))
	be.PutUint32(raw[posLength:], uint32(len(raw)-LengthOverhead))
	be.PutUint32(raw[posLeaderEpoch:], uint32(o.LeaderEpoch))
	raw[posMagic] = Magic
	be.PutUint16(raw[posAttributes:], attributes)
	be.PutUint32(raw[posLastOffsetDelta:], uint32(count-1))
	be.PutUint64(raw[posBaseTimestamp:], uint64(base))
	be.PutUint64(raw[posMaxTimestamp:], uint64(top))
	be.PutUint64(raw[posProducerID:], uint64(p.ID))
	be.PutUint16(raw[posProducerEpoch:], uint16(p.Epoch))
	be.PutUint32(raw[posBaseSequence:], uint32(p.Sequence))
	be.PutUint32(raw[posCount:], uint32(count))
	sealCRC(raw)
}

func appendRecord(dst []byte, offsetDelta, timestampDelta int64, r *Record) []byte {
	size := 1 + varintSize(timestampDelta) + varintSize(offsetDelta) + bytesSize(r.Key) + bytesSize(r.Value) + varintSize(int64(len(r.Headers)))
	for _, h := range r.Headers {
		size += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, offsetDelta)
	dst = appendNullable(dst, r.Key)
	dst = appendNullable(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendNullable(dst, h.Value)
	}
	return dst
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func bytesSize(b []byte) int {
	if b == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(b))) + len(b)
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}
