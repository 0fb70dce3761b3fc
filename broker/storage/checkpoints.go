package storage

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
)

// checkpointWriter writes the three offset checkpoints of the data directory,
// each only when its content has changed.
type checkpointWriter struct {
	mu   sync.Mutex
	last map[string][]byte // by file name, as written; protected by mu
}

// writeCheckpoints makes recovery points, log starts and high watermarks
// durable. A log start that is pending counts as set: see [Log.DeleteRecords].
func (s *Store) writeCheckpoints() error {
	s.checkpoints.mu.Lock()
	defer s.checkpoints.mu.Unlock()
	points, starts, hws := map[TopicPartition]int64{}, map[TopicPartition]int64{}, map[TopicPartition]int64{}
	for _, l := range s.Logs() {
		points[l.id] = l.recoveryPoint.Load()
		hws[l.id] = l.hw.Load()
		if start := max(l.logStart.Load(), l.pendingLogStart.Load()); start > 0 {
			starts[l.id] = start
		}
	}
	return errors.Join(
		s.writeCheckpoint(fileRecoveryPoints, points),
		s.writeCheckpoint(fileLogStarts, starts),
		s.writeCheckpoint(fileHighWatermarks, hws))
}

func (s *Store) writeCheckpoint(name string, offsets map[TopicPartition]int64) error {
	content := formatOffsets(offsets)
	if bytes.Equal(content, s.checkpoints.last[name]) {
		return nil
	}
	if err := writeFile(s.fs, filepath.Join(s.cfg.Dir, name), content, true); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if s.checkpoints.last == nil {
		s.checkpoints.last = map[string][]byte{}
	}
	s.checkpoints.last[name] = content
	return nil
}
