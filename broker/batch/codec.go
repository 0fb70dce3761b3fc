package batch

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is a compression codec, with Kafka's ids.
type Codec int8

// The codecs of Kafka's record format.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// Valid says whether the codec is known.
func (c Codec) Valid() bool { return c >= None && c <= Zstd }

// String returns Kafka's name of the codec.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return strconv.Itoa(int(c))
}

// xerialMagic begins the framing that snappy-java writes; raw snappy blocks
// come from other clients.
const (
	xerialMagic      = "\x82SNAPPY\x00"
	xerialHeaderSize = len(xerialMagic) + 8
)

// decompress returns src without its compression, at most max bytes of it.
func decompress(c Codec, src []byte, max int) ([]byte, error) {
	switch c {
	case None:
		return src, nil
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", ErrCorrupt, err)
		}
		return readAll(r, max)
	case Snappy:
		return decompressSnappy(src, max)
	case LZ4:
		return readAll(lz4.NewReader(bytes.NewReader(src)), max)
	case Zstd:
		r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max)+1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer r.Close()
		return readAll(r, max)
	}
	return nil, fmt.Errorf("%w: id %d", ErrCodec, c)
}

func readAll(r io.Reader, max int) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r, int64(max)+1))
	if n > int64(max) || errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", ErrCorrupt, err)
	}
	return buf.Bytes(), nil
}

func decompressSnappy(src []byte, max int) ([]byte, error) {
	if len(src) < xerialHeaderSize || string(src[:len(xerialMagic)]) != xerialMagic {
		return appendSnappyBlock(nil, src, max)
	}
	var dst []byte
	src = src[xerialHeaderSize:]
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, fmt.Errorf("%w: snappy: cut off in a block length", ErrCorrupt)
		}
		n := binary.BigEndian.Uint32(src)
		src = src[4:]
		if uint64(n) > uint64(len(src)) {
			return nil, fmt.Errorf("%w: snappy: block of %d bytes, %d are left", ErrCorrupt, n, len(src))
		}
		var err error
		if dst, err = appendSnappyBlock(dst, src[:n], max); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func appendSnappyBlock(dst, block []byte, max int) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, fmt.Errorf("%w: snappy: %w", ErrCorrupt, err)
	}
	if n > max-len(dst) {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
	}
	out, err := snappy.Decode(nil, block)
	if err != nil {
		return nil, fmt.Errorf("%w: snappy: %w", ErrCorrupt, err)
	}
	if dst == nil {
		return out, nil
	}
	return append(dst, out...), nil
}

// compress appends src, compressed, to dst.
func compress(c Codec, dst, src []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	var w io.WriteCloser
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w = gzip.NewWriter(buf)
	case Snappy:
		return append(dst, snappy.Encode(nil, src)...), nil
	case LZ4:
		z := lz4.NewWriter(buf)
		if err := z.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
			return nil, fmt.Errorf("lz4: %w", err)
		}
		w = z
	case Zstd:
		z, err := zstd.NewWriter(buf, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		w = z
	default:
		return nil, fmt.Errorf("%w: id %d", ErrCodec, c)
	}
	if _, err := w.Write(src); err != nil {
		return nil, fmt.Errorf("compress with %s: %w", c, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress with %s: %w", c, err)
	}
	return buf.Bytes(), nil
}
