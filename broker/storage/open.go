package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/buffers"
	"github.com/millrace/millrace/internal/vfs"
)

// formatVersion is the version of what is in a data directory beyond Kafka's
// own formats. It grows when an older Millrace would misread it.
const formatVersion = 1

// Open locks and recovers the data directory. Logs that are damaged are
// opened offline, each with a log line; Open fails only for what concerns the
// whole directory: ErrLocked, ErrNewerFormat, a damaged log start checkpoint, I/O errors.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, fs: cfg.FS, log: cfg.Logger, logs: map[TopicPartition]*Log{}}
	s.metrics = newMetrics(cfg.Registerer)
	s.converter = newConverter()
	s.checkpoints.last = map[string][]byte{}
	s.flusher = newFlusher()
	s.handles = handleCache{openMax: cfg.OpenFilesMax, syncMust: cfg.Durability == DurabilityFsync, metrics: s.metrics}
	s.tails = tailCache{bytesMax: cfg.TailBytesMax, metrics: s.metrics, buffers: cfg.Buffers}
	s.maintain, s.stop = make(chan struct{}, 1), make(chan struct{})
	if err := vfs.MkdirAllDurable(s.fs, cfg.Dir); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := s.lockDir(); err != nil {
		return nil, err
	}
	err := s.space.open(cfg, s.metrics)
	if err == nil {
		err = s.load()
	}
	if err != nil {
		s.metrics.unregister()
		return nil, errors.Join(fmt.Errorf("open data directory %s: %w", cfg.Dir, err), s.closeAll(), s.lock.Close())
	}
	s.background.Go(func() { s.runFlusher(s.stop) })
	s.background.Go(func() { s.runMaintenance(s.stop) })
	s.cleaner.store = s
	s.cleaner.start(cfg.Cleaner)
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.FS == nil {
		c.FS = vfs.OS()
	}
	if c.DiskSpace == nil && c.FS == vfs.OS() {
		c.DiskSpace = StatDisk
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.TailBytesMax == 0 {
		c.TailBytesMax = tailBytesMaxDefault
	}
	if c.Buffers == nil {
		c.Buffers = buffers.New(readBytesMax)
	}
	if c.OpenFilesMax <= 0 {
		c.OpenFilesMax = openFilesMaxDefault
	}
	if c.RetentionCheckInterval == 0 {
		c.RetentionCheckInterval = retentionIntervalDefault
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = checkpointIntervalDefault
	}
	return c
}

// heldByCaller is the lock of a directory that the caller has locked.
type heldByCaller struct{}

// Close does nothing: the caller lets go.
func (heldByCaller) Close() error { return nil }

func (s *Store) lockDir() (err error) {
	if s.cfg.Locked {
		s.lock = heldByCaller{}
		return nil
	}
	s.lock, err = s.fs.Lock(filepath.Join(s.cfg.Dir, fileLock))
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%w: %s", ErrLocked, s.cfg.Dir)
	}
	return err
}

func (s *Store) closeAll() error {
	var err error
	for _, l := range s.Logs() {
		err = errors.Join(err, l.closeFiles())
	}
	return errors.Join(err, s.handles.closeAll())
}

// load checks the format, takes the clean-shutdown marker away and recovers
// all logs.
func (s *Store) load() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	marker := filepath.Join(s.cfg.Dir, fileCleanShutdown)
	clean, err := exists(s.fs, marker)
	if err != nil {
		return err
	}
	if clean {
		if err := errors.Join(s.fs.Remove(marker), s.fs.SyncDir(s.cfg.Dir)); err != nil {
			return err
		}
	}
	points, err := s.readCheckpoint(fileRecoveryPoints)
	if errors.As(err, new(*CorruptionError)) {
		s.log.Warn("recovery points are lost, all logs are read from their beginning", "error", err)
		points, err = nil, nil
	}
	if err != nil {
		return err
	}
	starts, err := s.readCheckpoint(fileLogStarts)
	if err != nil {
		return err // guessing would bring deleted records back
	}
	cleaned, err := s.readCheckpoint(fileCleanerOffsets)
	if errors.As(err, new(*CorruptionError)) {
		s.log.Warn("cleaner checkpoint is lost, all compacted logs are compacted from their beginning", "error", err)
		cleaned, err = nil, nil
	}
	if err != nil {
		return err
	}
	started := s.cfg.Clock()
	if err := s.openLogs(clean, points, starts, cleaned); err != nil {
		return err
	}
	s.metrics.recovered(clean, s.cfg.Clock().Sub(started))
	// Offsets of logs that are no more must not be found by a later log of the
	// same name.
	return s.writeReadCheckpoints()
}

func (s *Store) checkFormat() error {
	name := filepath.Join(s.cfg.Dir, fileFormat)
	content, err := vfs.ReadFile(s.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return vfs.WriteFile(s.fs, name, fmt.Appendf(nil, "%d\n", formatVersion))
	}
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return &CorruptionError{File: name, Offset: -1, Reason: "it does not hold a version number"}
	}
	if version > formatVersion {
		return fmt.Errorf("%w: format %d, this one knows up to %d; install the newer version again", ErrNewerFormat, version, formatVersion)
	}
	return nil
}

func (s *Store) openLogs(clean bool, points, starts, cleaned map[TopicPartition]int64) error {
	entries, err := s.fs.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	scanners := make(chan *scanner, openParallelMax)
	for range openParallelMax {
		scanners <- new(scanner)
	}
	var unsettled unsettledLogs
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if strings.HasSuffix(e.Name(), suffixDeleteDir) {
			if err := s.fs.RemoveAll(filepath.Join(s.cfg.Dir, e.Name())); err != nil {
				return err
			}
			continue
		}
		id, err := ParseTopicPartition(e.Name())
		if err != nil {
			continue // not ours: other parts of the broker have folders here too
		}
		if left, err := s.leftByFormat(id); err != nil {
			return err
		} else if left {
			continue
		}
		scan := <-scanners
		wg.Go(func() {
			defer func() { scanners <- scan }()
			s.openLog(id, saved{clean: clean, point: points[id], logStart: starts[id], cleaned: cleaned[id]}, scan, &unsettled)
		})
	}
	wg.Wait()
	s.settle(unsettled.logs)
	s.missing = map[TopicPartition]int64{}
	for id, point := range points {
		if _, ok := s.Log(id); !ok && point > 0 {
			s.missing[id] = point
		}
	}
	return nil
}

// Missing are the logs without a directory when the store was opened, of which the
// recovery points say that records were forced to disk: up to which offset. They are logs that
// were being deleted when the process was killed, or directories that somebody took away.
func (s *Store) Missing() map[TopicPartition]int64 { return s.missing }

// leftByFormat tells whether a folder is the one that kafka-storage format makes for
// Kafka's metadata log with --standalone and --initial-controllers (KIP-853); logs of
// topics have a partition.metadata.
func (s *Store) leftByFormat(id TopicPartition) (bool, error) {
	if id != (TopicPartition{Topic: "__cluster_metadata"}) {
		return false, nil
	}
	is, err := exists(s.fs, filepath.Join(s.cfg.Dir, id.String(), filePartitionMetadata))
	return !is && err == nil, err
}

// openLog recovers one log; one that cannot be is kept, offline.
func (s *Store) openLog(id TopicPartition, in saved, scan *scanner, unsettled *unsettledLogs) {
	l := s.newLog(id, filepath.Join(s.cfg.Dir, id.String()))
	settled, err := false, l.readTopicID()
	if err == nil {
		settled, err = l.recover(in, scan)
	}
	if err == nil && !settled {
		unsettled.add(l)
	}
	s.change(func(all map[TopicPartition]*Log) { all[id] = l })
	if err != nil {
		// What the checkpoints say of this log must outlive its being offline.
		l.recoveryPoint.Store(in.point)
		l.logStart.Store(in.logStart)
		l.cleaned.Store(in.cleaned)
		if l.fail(err) == nil {
			panic("storage: a log that failed is online")
		}
	}
}

// readTopicID reads partition.metadata; a log without one has no topic id.
func (l *Log) readTopicID() error {
	name := filepath.Join(l.dir, filePartitionMetadata)
	content, err := vfs.ReadFile(l.store.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		l.topicID, err = parsePartitionMetadata(content)
		if err != nil {
			err = &CorruptionError{File: name, Offset: -1, Reason: err.Error()}
		}
	}
	return err
}

// trashName returns the name that a deleted log's directory gets; Kafka's
// form, cut to the length that a file name may have.
func trashName(id TopicPartition) string {
	const nameMax = 255
	var unique [16]byte
	_, _ = rand.Read(unique[:]) // never fails
	suffix := "-" + strconv.Itoa(int(id.Partition)) + "." + hex.EncodeToString(unique[:]) + suffixDeleteDir
	return id.Topic[:min(len(id.Topic), nameMax-len(suffix))] + suffix
}
