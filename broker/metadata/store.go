package metadata

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/vfs"
)

// snapshotBytes is how long the log may grow before a snapshot takes its place,
// at least; it may also grow to the size of the last snapshot.
const snapshotBytes = 4 << 20

// Errors of a store.
var (
	// ErrFailed: an earlier write failed, so nothing more is written until the
	// store is opened again.
	ErrFailed = errors.New("metadata log has failed and takes no more changes until the broker is started again")
	// ErrNoSpace: the disk is full; nothing was committed and the store goes on.
	ErrNoSpace = errors.New("no space left for the metadata")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("metadata store is closed")
)

// Config of a Store.
type Config struct {
	// Dir holds the files; it is created when missing.
	Dir string
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Logger gets a line when a torn tail is cut.
	Logger *slog.Logger
}

// Store is the durable metadata log with its latest image.
type Store struct {
	cfg   Config
	image atomic.Pointer[Image]

	mu            sync.Mutex // held through a decision and its commit
	file          vfs.File
	end           int64 // bytes of the log that hold intact commits
	snapshotBytes int64 // size of the last snapshot
	snapshotAfter int64 // length of the log before a snapshot is tried again
	logIndex      int64 // in the name of the log
	err           error // why no more is written
}

// Open reads the metadata in cfg.Dir; a new directory gets an empty image.
// It fails with a [*CorruptionError] when damage comes before intact commits.
func Open(cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.OS()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("open metadata: %w", err)
	}
	return s, nil
}

// Image returns the latest image.
func (s *Store) Image() *Image { return s.image.Load() }

// Update calls decide with the latest image and commits the records that it
// returns. No other decision is made meanwhile. On return the records are durable
// and the image that holds them is published; it is returned. Without records
// nothing is written. An error of decide is returned as it is.
func (s *Store) Update(decide func(*Image) ([]Record, error)) (*Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	image := s.image.Load()
	if s.err != nil {
		return image, s.err
	}
	records, err := decide(image)
	if err != nil || len(records) == 0 {
		return image, err
	}
	next, err := image.next(image.Index+1, records)
	if err != nil {
		return image, err
	}
	payload, err := encodeRecords(records)
	if err != nil {
		return image, err
	}
	if len(payload) > payloadBytesMax {
		return image, fmt.Errorf("%w: a commit of %d bytes", errRecord, len(payload))
	}
	if err := s.append(encodeFrame(next.Index, payload)); err != nil {
		return image, err
	}
	s.image.Store(next)
	if s.end > max(snapshotBytes, s.snapshotBytes, s.snapshotAfter) {
		s.snapshotOrLater(next)
	}
	return next, nil
}

// append makes a frame durable. On a full disk the log stays as it was and
// takes further commits; any other failure is the end of writing, because
// nobody knows what of the frame is on disk.
func (s *Store) append(frame []byte) error {
	_, err := s.file.WriteAt(frame, s.end)
	if isNoSpace(err) {
		if err = errors.Join(err, s.file.Truncate(s.end)); isOnlyNoSpace(err) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		s.err = fmt.Errorf("%w: %w", ErrFailed, err)
		return s.err
	}
	s.end += int64(len(frame))
	return nil
}

// Close releases the files. Everything that Update has returned for is durable already.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.err, ErrClosed) {
		return nil
	}
	s.err = ErrClosed
	return s.file.Close()
}
