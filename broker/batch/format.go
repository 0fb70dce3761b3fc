package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
)

// Errors by which callers branch; they are wrapped with detail.
var (
	// ErrShort: the bytes end before the batch does.
	ErrShort = errors.New("record batch is cut off")
	// ErrCorrupt: the checksum or the lengths do not fit.
	ErrCorrupt = errors.New("record batch is corrupt")
	// ErrInvalid: the batch is intact but contradicts the format's rules.
	ErrInvalid = errors.New("record batch is not valid")
	// ErrOldFormat: a message set older than record batch v2.
	ErrOldFormat = errors.New("message format is older than record batch v2")
	// ErrCodec: an unknown compression codec.
	ErrCodec = errors.New("compression codec is not known")
	// ErrTooLarge: the decompressed records are larger than allowed.
	ErrTooLarge = errors.New("decompressed records are larger than allowed")
)

// Sizes and positions of the header's fields, in bytes.
const (
	// HeaderSize is the length of a batch without its records.
	HeaderSize = 61
	// LengthOverhead is what the length field does not count: itself and the base offset.
	LengthOverhead = 12

	// Magic is the version of the format.
	Magic = 2

	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57
)

// Bits of the attributes.
const (
	codecMask            = 0x07
	attrLogAppendTime    = 0x08
	attrTransactional    = 0x10
	attrControl          = 0x20
	attrDeleteHorizonSet = 0x40
)

// Values that say "none".
const (
	// NoProducerID is the producer id of a batch without idempotence.
	NoProducerID = -1
	// NoTimestamp is the timestamp of a record without one.
	NoTimestamp = -1
)

// Header is the decoded header of a batch.
type Header struct {
	// BaseOffset is the offset of the first record.
	BaseOffset int64
	// Length in bytes of what follows the length field.
	Length int32
	// LeaderEpoch of the leader that assigned the offsets.
	LeaderEpoch int32
	// CRC is CRC-32C of everything from the attributes on.
	CRC uint32
	// Attributes: codec, timestamp type, transactional, control.
	Attributes int16
	// LastOffsetDelta is the last record's offset less BaseOffset.
	LastOffsetDelta int32
	// BaseTimestamp and MaxTimestamp in ms since 1970.
	BaseTimestamp, MaxTimestamp int64
	// ProducerID is NoProducerID without idempotence.
	ProducerID int64
	// ProducerEpoch and BaseSequence are -1 without idempotence.
	ProducerEpoch int16
	BaseSequence  int32
	// Count is the number of records.
	Count int32
}

// Size returns the length of the whole batch in bytes.
func (h *Header) Size() int { return int(h.Length) + LengthOverhead }

// LastOffset returns the offset of the last record.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// LastSequence returns the sequence of the last record; it wraps to 0 after 2^31-1.
func (h *Header) LastSequence() int32 {
	if h.BaseSequence < 0 {
		return -1
	}
	return AddSequence(h.BaseSequence, h.LastOffsetDelta)
}

// AddSequence adds n to a sequence number; it wraps to 0 after 2^31-1.
func AddSequence(seq, n int32) int32 {
	return int32((int64(seq) + int64(n)) & 0x7fffffff)
}

// Codec returns the compression codec.
func (h *Header) Codec() Codec { return Codec(h.Attributes & codecMask) }

// IsLogAppendTime says that MaxTimestamp is the time of all records.
func (h *Header) IsLogAppendTime() bool { return h.Attributes&attrLogAppendTime != 0 }

// IsTransactional says that the batch belongs to a transaction.
func (h *Header) IsTransactional() bool { return h.Attributes&attrTransactional != 0 }

// IsControl says that the batch holds markers, not records of a client.
func (h *Header) IsControl() bool { return h.Attributes&attrControl != 0 }

// HasDeleteHorizon says that BaseTimestamp is a delete horizon (KIP-534).
func (h *Header) HasDeleteHorizon() bool { return h.Attributes&attrDeleteHorizonSet != 0 }

// HasProducerID says that the batch was written by an idempotent producer.
func (h *Header) HasProducerID() bool { return h.ProducerID > NoProducerID }

// Batch is a whole batch in its stored form.
type Batch struct {
	Header
	// Raw is all bytes of the batch.
	Raw []byte
}

// ParseHeader decodes the first HeaderSize bytes of b. It checks that the
// version is known and that length and deltas are possible, but not the checksum.
// It returns ErrShort, ErrOldFormat or ErrCorrupt.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		if len(b) > posMagic && b[posMagic] != Magic {
			return Header{}, magicError(b[posMagic])
		}
		return Header{}, ErrShort
	}
	if b[posMagic] != Magic {
		return Header{}, magicError(b[posMagic])
	}
	h := decodeHeader(b)
	if h.Length < HeaderSize-LengthOverhead {
		return h, fmt.Errorf("%w: length %d is shorter than a header", ErrCorrupt, h.Length)
	}
	if h.BaseOffset < 0 || h.LastOffsetDelta < 0 || h.LastOffset() < h.BaseOffset {
		return h, fmt.Errorf("%w: base offset %d, last offset delta %d", ErrCorrupt, h.BaseOffset, h.LastOffsetDelta)
	}
	return h, nil
}

func decodeHeader(b []byte) Header {
	_ = b[HeaderSize-1]
	return Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b[posBaseOffset:])),
		Length:          int32(binary.BigEndian.Uint32(b[posLength:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])),
		CRC:             binary.BigEndian.Uint32(b[posCRC:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[posAttributes:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[posBaseTimestamp:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[posMaxTimestamp:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[posProducerID:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[posProducerEpoch:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[posBaseSequence:])),
		Count:           int32(binary.BigEndian.Uint32(b[posCount:])),
	}
}

func magicError(magic byte) error {
	if magic < Magic {
		return fmt.Errorf("%w: magic %d", ErrOldFormat, magic)
	}
	return fmt.Errorf("%w: magic %d", ErrCorrupt, magic)
}

// Parse returns the batch at the start of b, without looking at its checksum.
// ErrShort means that b ends before the batch.
func Parse(b []byte) (Batch, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Batch{}, err
	}
	if h.Size() > len(b) {
		return Batch{Header: h}, fmt.Errorf("%w: %d of %d bytes", ErrShort, len(b), h.Size())
	}
	return Batch{Header: h, Raw: b[:h.Size():h.Size()]}, nil
}

// All walks over the batches in data. It ends after the first error.
func All(data []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for len(data) > 0 {
			b, err := Parse(data)
			if !yield(b, err) || err != nil {
				return
			}
			data = data[len(b.Raw):]
		}
	}
}

// CheckCRC computes the checksum and returns ErrCorrupt if it is not that of the header.
func (b *Batch) CheckCRC() error {
	if sum := crc32.Checksum(b.Raw[posAttributes:], castagnoli()); sum != b.CRC {
		return fmt.Errorf("%w: checksum is %08x, header says %08x", ErrCorrupt, sum, b.CRC)
	}
	return nil
}

// castagnoli returns the CRC-32C table, which hash/crc32 makes once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Validate checks what a broker checks of a batch before it assigns offsets:
// checksum, codec, counts. It does no work per record. A batch of a producer may be without a
// sequence, as a coordinator's are. It returns ErrCorrupt, ErrCodec or ErrInvalid.
func (b *Batch) Validate() error {
	if err := b.CheckCRC(); err != nil {
		return err
	}
	switch {
	case !b.Codec().Valid():
		return fmt.Errorf("%w: id %d", ErrCodec, b.Codec())
	case b.Count <= 0:
		return fmt.Errorf("%w: it says that it has %d records", ErrInvalid, b.Count)
	case int64(b.LastOffsetDelta)+1 != int64(b.Count):
		return fmt.Errorf("%w: %d records but a last offset delta of %d", ErrInvalid, b.Count, b.LastOffsetDelta)
	case b.Codec() == None && int64(b.Count)*minRecordSize > int64(len(b.Raw)-HeaderSize):
		return fmt.Errorf("%w: %d records do not fit into %d bytes", ErrInvalid, b.Count, len(b.Raw)-HeaderSize)
	case b.ProducerID < NoProducerID:
		return fmt.Errorf("%w: producer id %d", ErrInvalid, b.ProducerID)
	case b.HasProducerID() && b.ProducerEpoch < 0:
		return fmt.Errorf("%w: producer id %d with epoch %d", ErrInvalid, b.ProducerID, b.ProducerEpoch)
	case b.IsTransactional() && !b.HasProducerID():
		return fmt.Errorf("%w: transactional without a producer id", ErrInvalid)
	case b.BaseTimestamp < NoTimestamp || b.MaxTimestamp < NoTimestamp:
		return fmt.Errorf("%w: timestamps %d to %d", ErrInvalid, b.BaseTimestamp, b.MaxTimestamp)
	}
	return nil
}

// SetOffset writes base offset and leader epoch into the batch at the start
// of raw. Neither is covered by the checksum.
func SetOffset(raw []byte, baseOffset int64, leaderEpoch int32) {
	_ = raw[HeaderSize-1]
	binary.BigEndian.PutUint64(raw[posBaseOffset:], uint64(baseOffset))
	binary.BigEndian.PutUint32(raw[posLeaderEpoch:], uint32(leaderEpoch))
}

// SetLogAppendTime marks the whole batch raw as written at timestampMs and
// computes its checksum again.
func SetLogAppendTime(raw []byte, timestampMs int64) {
	attributes := binary.BigEndian.Uint16(raw[posAttributes:]) | attrLogAppendTime
	binary.BigEndian.PutUint16(raw[posAttributes:], attributes)
	binary.BigEndian.PutUint64(raw[posMaxTimestamp:], uint64(timestampMs))
	sealCRC(raw)
}

func sealCRC(raw []byte) {
	binary.BigEndian.PutUint32(raw[posCRC:], crc32.Checksum(raw[posAttributes:], castagnoli()))
}
