package storage

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// Compression is compression.type with its level. The zero value keeps what
// producers send.
type Compression struct {
	// Convert is set for every value but producer.
	Convert bool
	// Codec that batches are stored with; Level in the codec's own terms.
	Codec batch.Codec
	Level int
}

const (
	// convertedRecordsMax bounds the decompressed records of a batch that is
	// converted: a small batch may say that it is enormous.
	convertedRecordsMax = 128 << 20
	// conversionsMax bounds the batches that are converted at once, and with
	// convertedRecordsMax the memory for it.
	conversionsMax = 2
)

// converter stores batches with the codec that their topic asks for.
type converter struct{ slots chan struct{} }

func newConverter() converter { return converter{make(chan struct{}, conversionsMax)} }

// convert returns the batches with another codec, or those that came where
// they have it already. Batches were validated before.
func (c converter) convert(batches []byte, cfg *LogConfig) ([]byte, error) {
	if !cfg.Compression.Convert || !anyOther(batches, cfg.Compression.Codec) {
		return batches, nil
	}
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	var out []byte
	for b, err := range batch.All(batches) {
		if err != nil {
			return nil, err
		}
		raw := b.Raw
		if b.Codec() != cfg.Compression.Codec {
			raw, err = b.Recompress(cfg.Compression.Codec, cfg.Compression.Level, convertedRecordsMax)
		}
		switch {
		case errors.Is(err, batch.ErrTooLarge):
			return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
		case err != nil:
			return nil, err
		case int64(len(raw)) > cfg.MaxMessageBytes:
			return nil, fmt.Errorf("%w: %d bytes after conversion to %s, %d are allowed", ErrTooLarge, len(raw), cfg.Compression.Codec, cfg.MaxMessageBytes)
		}
		out = append(out, raw...)
	}
	if int64(len(out)) > cfg.SegmentBytes {
		return nil, fmt.Errorf("%w: %d bytes do not fit a segment of %d", ErrTooLarge, len(out), cfg.SegmentBytes)
	}
	return out, nil
}

func anyOther(batches []byte, codec batch.Codec) bool {
	for b, err := range batch.All(batches) {
		if err == nil && b.Codec() != codec {
			return true
		}
	}
	return false
}
