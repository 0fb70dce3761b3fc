package storage

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/vfs"
)

// checkpointWriter writes the four offset checkpoints of the data directory,
// each only when its content has changed.
type checkpointWriter struct {
	// stale is set when an offset has moved or a log has come or gone since
	// the last write.
	stale atomic.Bool
	mu    sync.Mutex
	last  map[string][]byte // by file name, as written; protected by mu
}

// writeCheckpoints makes recovery points, log starts, high watermarks and
// cleaner offsets durable. A log start that is pending counts as set: see [Log.DeleteRecords].
func (s *Store) writeCheckpoints() error {
	s.checkpoints.mu.Lock()
	defer s.checkpoints.mu.Unlock()
	s.checkpoints.stale.Store(false) // first: what moves from now on is for the next time
	logs := s.sorted()
	err := errors.Join(
		s.writeCheckpoint(fileRecoveryPoints, logs, (*Log).RecoveryPoint),
		s.writeCheckpoint(fileLogStarts, logs, (*Log).startToSave),
		s.writeCheckpoint(fileHighWatermarks, logs, (*Log).HighWatermark),
		s.writeCheckpoint(fileCleanerOffsets, logs, (*Log).cleanedToSave))
	if err != nil {
		s.checkpoints.stale.Store(true)
	}
	return err
}

// readCheckpoint reads an offset checkpoint at the start; as long as nothing in it
// changes it is not written again.
func (s *Store) readCheckpoint(name string) (map[TopicPartition]int64, error) {
	offsets, content, err := readOffsets(s.fs, filepath.Join(s.cfg.Dir, name))
	if err == nil && content != nil {
		s.checkpoints.mu.Lock()
		s.checkpoints.last[name] = content
		s.checkpoints.mu.Unlock()
	}
	return offsets, err
}

// writeReadCheckpoints writes those checkpoints that a start goes by. The high
// watermarks, which are written for other readers, wait for the next round.
func (s *Store) writeReadCheckpoints() error {
	s.checkpoints.mu.Lock()
	defer s.checkpoints.mu.Unlock()
	s.checkpoints.stale.Store(true)
	logs := s.sorted()
	return errors.Join(
		s.writeCheckpoint(fileRecoveryPoints, logs, (*Log).RecoveryPoint),
		s.writeCheckpoint(fileLogStarts, logs, (*Log).startToSave),
		s.writeCheckpoint(fileCleanerOffsets, logs, (*Log).cleanedToSave))
}

// startToSave is -1 for a log that begins at 0: Kafka leaves those out.
func (l *Log) startToSave() int64 {
	if start := max(l.logStart.Load(), l.pendingLogStart.Load()); start > 0 {
		return start
	}
	return -1
}

// cleanedToSave is -1 for a log that was never compacted: Kafka leaves those out.
func (l *Log) cleanedToSave() int64 {
	if cleaned := l.cleaned.Load(); cleaned > 0 {
		return cleaned
	}
	return -1
}

func (s *Store) writeCheckpoint(name string, logs []*Log, offset func(*Log) int64) error {
	last := s.checkpoints.last[name]
	content := offsetsOf(logs, offset, len(last))
	if bytes.Equal(content, last) {
		return nil
	}
	if err := vfs.WriteFile(s.fs, filepath.Join(s.cfg.Dir, name), content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	s.checkpoints.last[name] = content
	return nil
}

// offsetsOf writes an offset checkpoint, as formatOffsets does, without the
// logs whose offset is negative. size is about how long it will be.
func offsetsOf(logs []*Log, offset func(*Log) int64, size int) []byte {
	lines, n := make([]byte, 0, size+64), 0
	for _, l := range logs {
		at := offset(l)
		if at < 0 {
			continue
		}
		lines = append(append(lines, l.id.Topic...), ' ')
		lines = append(strconv.AppendInt(lines, int64(l.id.Partition), 10), ' ')
		lines = append(strconv.AppendInt(lines, at, 10), '\n')
		n++
	}
	return append(fmt.Appendf(make([]byte, 0, len(lines)+16), "%s\n%d\n", checkpointVersion, n), lines...)
}
