package storage

import (
	"math"

	"github.com/millrace/millrace/broker/batch"
)

// cleanTarget is what compaction could do for a log.
type cleanTarget struct {
	l *Log
	// from and to bound the records that have not been compacted yet and may be.
	from, to int64
	// cleanBytes lie before from, dirtyBytes between from and to.
	cleanBytes, dirtyBytes int64
	// overdue says that a record has waited for max.compaction.lag.ms.
	overdue bool
}

// ratio is the share of the dirty bytes, as min.cleanable.dirty.ratio counts it.
func (t *cleanTarget) ratio() float64 {
	if t.dirtyBytes == 0 {
		return 0
	}
	return float64(t.dirtyBytes) / float64(t.cleanBytes+t.dirtyBytes)
}

// wanted says whether the log is dirty enough.
func (t *cleanTarget) wanted() bool {
	return t.dirtyBytes > 0 && (t.overdue || t.ratio() > t.l.cfg.Load().MinCleanableDirtyRatio)
}

// cleanTarget finds out what can be compacted: whole segments that are no longer
// written, whose transactions are all decided, and whose newest record is
// older than min.compaction.lag.ms.
func (l *Log) cleanTarget(nowMs int64) (cleanTarget, error) {
	cfg, list := l.cfg.Load(), l.list()
	t := cleanTarget{l: l, from: max(l.cleaned.Load(), l.logStart.Load())}
	if t.from > l.end.Load() {
		t.from = l.logStart.Load() // the log has lost its end since
	}
	t.to = t.from
	stable := l.LastStableOffset()
	oldest := int64(math.MaxInt64)
	for i, seg := range list {
		end := l.endOf(list, i)
		if end <= t.from && i < len(list)-1 {
			t.cleanBytes += seg.size.Load()
			continue
		}
		if i == len(list)-1 || end > stable {
			break
		}
		young, err := l.tooYoung(seg, cfg, nowMs)
		if err != nil {
			return t, err
		}
		if young {
			break
		}
		first, err := l.firstTimestamp(seg, cfg)
		if err != nil {
			return t, err
		}
		oldest = min(oldest, first)
		t.dirtyBytes += seg.size.Load()
		t.to = end
	}
	t.overdue = oldest < nowMs-min(cfg.MaxCompactionLagMs, nowMs)
	return t, nil
}

// tooYoung says whether a segment has a record that min.compaction.lag.ms
// protects. A record cannot be newer than its append.
func (l *Log) tooYoung(seg *segment, cfg *LogConfig, nowMs int64) (bool, error) {
	if cfg.MinCompactionLagMs <= 0 {
		return false, nil
	}
	timestamp, _, err := seg.maxTimestamp()
	if err != nil {
		return false, err
	}
	if appended := seg.times.lastAppend(); timestamp < 0 || timestamp > appended {
		timestamp = appended
	}
	return nowMs-timestamp < cfg.MinCompactionLagMs, nil
}

// firstTimestamp returns the timestamp of a segment's first batch. It is not
// read where there is no bound for the age.
func (l *Log) firstTimestamp(seg *segment, cfg *LogConfig) (int64, error) {
	if cfg.MaxCompactionLagMs == math.MaxInt64 || seg.size.Load() < batch.HeaderSize {
		return math.MaxInt64, nil
	}
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return 0, err
	}
	head := make([]byte, batch.HeaderSize)
	err = readFull(h.file, head, 0)
	if releaseErr := h.release(); err == nil {
		err = releaseErr
	}
	if err != nil {
		return 0, err
	}
	header, err := batch.ParseHeader(head)
	if isDamage(err) {
		return 0, &CorruptionError{File: seg.path(suffixLog), Offset: seg.base, Reason: err.Error()}
	}
	if header.MaxTimestamp < 0 {
		return seg.times.lastAppend(), err
	}
	return header.MaxTimestamp, err
}

// rollOverdue begins a new segment where the active one holds records that have
// waited for max.compaction.lag.ms, because only what is no longer written can be
// compacted. Appends do so themselves; this is for a topic that nobody writes to.
func (l *Log) rollOverdue(nowMs int64) error {
	cfg := l.cfg.Load()
	list := l.list()
	active := list[len(list)-1]
	if cfg.MaxCompactionLagMs == math.MaxInt64 || active.size.Load() == 0 || nowMs-active.times.created() <= cfg.MaxCompactionLagMs {
		return nil
	}
	_, err := l.rollExpired(active)
	return err
}
