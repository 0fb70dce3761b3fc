package batch

import (
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Recompress returns the batch with its records compressed by another codec,
// at a level in the codec's own terms, in new memory. Everything else of the header stays:
// offsets, timestamps, producer, sequence, attributes. The records are looked
// through, as Apache Kafka does where it converts: each must parse and have the
// offset that follows the one before.
//
// Errors: ErrCorrupt, ErrCodec; ErrInvalid for offsets with gaps; ErrTooLarge for
// records of more than max bytes without compression.
func (b *Batch) Recompress(to Codec, level, max int) ([]byte, error) {
	data, err := decompress(b.Codec(), b.Raw[HeaderSize:], max)
	if err != nil {
		return nil, err
	}
	if len(data) > max {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
	}
	if err := b.checkRecords(data); err != nil {
		return nil, err
	}
	raw, err := compressAt(to, level, append(make([]byte, 0, HeaderSize+len(data)/2), b.Raw[:HeaderSize]...), data)
	if err != nil {
		return nil, err
	}
	if len(raw) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: batch of %d bytes", ErrTooLarge, len(raw))
	}
	binary.BigEndian.PutUint32(raw[posLength:], uint32(len(raw)-LengthOverhead))
	attributes := binary.BigEndian.Uint16(raw[posAttributes:])
	binary.BigEndian.PutUint16(raw[posAttributes:], attributes&^codecMask|uint16(to))
	sealCRC(raw)
	return raw, nil
}

// checkRecords looks through decompressed records.
func (b *Batch) checkRecords(data []byte) error {
	d := decoder{b: data}
	for i := range b.Count {
		r := b.decodeRecord(&d)
		if d.bad {
			return fmt.Errorf("%w: record %d of %d does not parse", ErrCorrupt, i, b.Count)
		}
		if r.Offset != b.BaseOffset+int64(i) {
			return fmt.Errorf("%w: record %d has the offset delta %d", ErrInvalid, i, r.Offset-b.BaseOffset)
		}
	}
	if len(d.b) != 0 {
		return fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(d.b))
	}
	return nil
}

// lz4LevelDefault is Kafka's level for fast compression.
const lz4LevelDefault = 9

// compressAt appends src, compressed at a level, to dst.
func compressAt(c Codec, level int, dst, src []byte) ([]byte, error) {
	buf := &appender{b: dst}
	var w io.WriteCloser
	var err error
	switch c {
	case Gzip:
		w, err = gzip.NewWriterLevel(buf, level)
	case LZ4:
		w, err = newLZ4(buf, level)
	case Zstd:
		w, err = zstd.NewWriter(buf, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	default:
		return compress(c, dst, src)
	}
	if err != nil {
		return nil, fmt.Errorf("compress with %s at level %d: %w", c, level, err)
	}
	if _, err = w.Write(src); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress with %s: %w", c, err)
	}
	return buf.b, nil
}

// newLZ4 compresses fast at Kafka's default level, and harder at the others.
func newLZ4(w io.Writer, level int) (io.WriteCloser, error) {
	z := lz4.NewWriter(w)
	options := []lz4.Option{lz4.BlockSizeOption(lz4.Block64Kb)}
	if level != lz4LevelDefault {
		levels := [...]lz4.CompressionLevel{lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9}
		options = append(options, lz4.CompressionLevelOption(levels[min(max(level, 1), len(levels))-1]))
	}
	return z, z.Apply(options...)
}

type appender struct{ b []byte }

// Write implements [io.Writer].
func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
