package storage

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// batchRun is what validate found in the bytes of one append.
type batchRun struct {
	batches int
	records int64
	// idempotent counts the batches with a producer id.
	idempotent int
	// appendTimeMs was written into the batches; -1 under CreateTime.
	appendTimeMs int64
}

// validate checks every batch of an append (record batch v2; the rules are
// those of Kafka's LogValidator, without its work per record) and writes the
// log-append time where the topic asks for it. It needs no lock.
func validate(batches []byte, id TopicPartition, cfg *LogConfig, origin Origin, nowMs int64) (batchRun, error) {
	run := batchRun{appendTimeMs: -1}
	if cfg.TimestampType == LogAppendTime && origin != OriginReplica {
		run.appendTimeMs = nowMs
	}
	rest := batches
	for len(rest) > 0 {
		b, err := batch.Parse(rest)
		if errors.Is(err, batch.ErrShort) {
			return run, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err != nil {
			return run, err
		}
		if origin != OriginReplica && !b.IsControl() && int64(len(b.Raw)) > cfg.MaxMessageBytes {
			return run, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(b.Raw), cfg.MaxMessageBytes)
		}
		if err := validateBatch(&b, int(run.records), id, cfg, origin, nowMs); err != nil {
			return run, err
		}
		if run.appendTimeMs >= 0 {
			batch.SetLogAppendTime(b.Raw, nowMs)
		}
		if b.HasProducerID() {
			run.idempotent++
		}
		run.batches++
		run.records += int64(b.Count)
		rest = rest[len(b.Raw):]
	}
	return run, run.check(len(batches), cfg, origin)
}

func (r *batchRun) check(size int, cfg *LogConfig, origin Origin) error {
	switch {
	case r.batches == 0:
		return fmt.Errorf("%w: there is no batch", ErrInvalidRecord)
	case origin == OriginClient && r.idempotent > 0 && r.batches > 1:
		return fmt.Errorf("%w: an idempotent producer sends one batch at a time, not %d", ErrInvalidRecord, r.batches)
	case origin != OriginReplica && int64(size) > cfg.SegmentBytes:
		return fmt.Errorf("%w: %d bytes do not fit a segment of %d", ErrTooLarge, size, cfg.SegmentBytes)
	}
	return nil
}

// validateBatch checks one batch; first is the index of its first record in the append.
func validateBatch(b *batch.Batch, first int, id TopicPartition, cfg *LogConfig, origin Origin, nowMs int64) error {
	if origin == OriginReplica {
		err := b.CheckCRC() // the leader has checked the rest; compaction leaves gaps
		if err == nil && b.IsControl() {
			_, _, err = parseMarker(b)
		}
		return err
	}
	if err := b.Validate(); err != nil {
		return err
	}
	if origin != OriginClient {
		return nil
	}
	switch {
	case b.IsControl():
		return fmt.Errorf("%w: a client may not write control batches", ErrInvalidRecord)
	case b.HasProducerID() && b.BaseSequence < 0:
		return fmt.Errorf("%w: producer id %d with sequence %d", ErrInvalidRecord, b.ProducerID, b.BaseSequence)
	}
	if err := validateTimestamps(b, cfg, nowMs); err != nil {
		return untimelyRecords(b, first, cfg, nowMs, err)
	}
	if cfg.CleanupPolicy&CleanupCompact != 0 {
		return validateKeys(b, first, id)
	}
	return nil
}

func validateTimestamps(b *batch.Batch, cfg *LogConfig, nowMs int64) error {
	if cfg.TimestampType == LogAppendTime {
		return nil
	}
	switch top := effectiveMaxTimestamp(&b.Header); {
	case b.IsLogAppendTime():
		return fmt.Errorf("%w: a client may not set the log-append time", ErrInvalidTimestamp)
	case top > nowMs && top-nowMs > cfg.TimestampAfterMaxMs:
		return fmt.Errorf("%w: %d is more than %d ms after the broker's %d", ErrInvalidTimestamp, top, cfg.TimestampAfterMaxMs, nowMs)
	case b.BaseTimestamp >= 0 && nowMs-b.BaseTimestamp > cfg.TimestampBeforeMaxMs:
		return fmt.Errorf("%w: %d is more than %d ms before the broker's %d", ErrInvalidTimestamp, b.BaseTimestamp, cfg.TimestampBeforeMaxMs, nowMs)
	}
	return nil
}
