package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// recover reads the newest snapshot and the log after it. The directory may hold
// what a crash left: a temporary file, a snapshot without its log, older files.
func (s *Store) recover() error {
	if err := vfs.MkdirAllDurable(s.cfg.FS, s.cfg.Dir); err != nil {
		return err
	}
	snapshots, logs, err := s.list()
	if err != nil {
		return err
	}
	image, base := newImage(), int64(0)
	if len(snapshots) > 0 {
		base = snapshots[len(snapshots)-1]
		if image, err = s.readSnapshot(base); err != nil {
			return err
		}
	} else if len(logs) > 0 && logs[0] != 0 {
		return &CorruptionError{File: filepath.Join(s.cfg.Dir, fileName(logs[0], logSuffix)), Reason: "the snapshot before it is missing"}
	}
	if slices.Contains(logs, base) {
		image, err = s.replayLog(image, base)
	} else {
		err = s.createLog(base)
	}
	if err != nil {
		return err
	}
	image.seal()
	s.image.Store(image)
	return s.removeBefore(base, math.MaxInt64)
}

// list returns the indexes in the names of snapshots and logs, in order.
func (s *Store) list() (snapshots, logs []int64, err error) {
	entries, err := s.cfg.FS.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if i, ok := parseFileName(e.Name(), snapshotSuffix); ok {
			snapshots = append(snapshots, i)
		}
		if i, ok := parseFileName(e.Name(), logSuffix); ok {
			logs = append(logs, i)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(logs)
	return snapshots, logs, nil
}

func (s *Store) readSnapshot(index int64) (*Image, error) {
	name := filepath.Join(s.cfg.Dir, fileName(index, snapshotSuffix))
	f, err := s.cfg.FS.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := readAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	i, payload, n := decodeFrame(content)
	if n == 0 || n != len(content) || i != index {
		return nil, &CorruptionError{File: name, Reason: "the snapshot's checksum or length does not fit"}
	}
	records, err := decodeRecords(payload)
	if err != nil {
		return nil, &CorruptionError{File: name, Reason: err.Error()}
	}
	image, err := newImage().next(index, records)
	if err != nil {
		return nil, &CorruptionError{File: name, Reason: err.Error()}
	}
	s.snapshotBytes = int64(len(content))
	return image, nil
}

// replayLog applies the commits after base and cuts a torn one at the end.
func (s *Store) replayLog(image *Image, base int64) (*Image, error) {
	name := filepath.Join(s.cfg.Dir, fileName(base, logSuffix))
	f, err := s.cfg.FS.OpenReadWrite(name)
	if err != nil {
		return nil, err
	}
	content, err := readAll(f)
	if err == nil {
		image, err = s.replay(image, name, content)
	}
	if err == nil && s.end < int64(len(content)) {
		s.cfg.Logger.Warn("torn end of the metadata log cut", "file", name, "position", s.end, "bytes", int64(len(content))-s.end)
		if err = f.Truncate(s.end); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.file, s.logIndex = f, base
	return image, nil
}

// replay applies commits to image, which nobody else has yet, in place: a copy for each
// would make the start slow.
func (s *Store) replay(image *Image, name string, content []byte) (*Image, error) {
	for int(s.end) < len(content) {
		rest := content[s.end:]
		index, payload, n := decodeFrame(rest)
		if n == 0 {
			if intactAfter(rest, image.Index) {
				return nil, &CorruptionError{File: name, Position: s.end, Reason: "intact commits follow a damaged one"}
			}
			return image, nil
		}
		if index != image.Index+1 {
			return nil, &CorruptionError{File: name, Position: s.end, Reason: fmt.Sprintf("commit %d follows commit %d", index, image.Index)}
		}
		records, err := decodeRecords(payload)
		if err != nil {
			return nil, &CorruptionError{File: name, Position: s.end, Reason: err.Error()}
		}
		if err := image.advance(index, records); err != nil {
			return nil, &CorruptionError{File: name, Position: s.end, Reason: err.Error()}
		}
		s.end += int64(n)
	}
	return image, nil
}

// removeBefore removes snapshots and logs older than index, and temporary files.
// logIndex is the newest log that is known to be closed.
func (s *Store) removeBefore(index, logIndex int64) error {
	entries, err := s.cfg.FS.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		snapshot, isSnapshot := parseFileName(e.Name(), snapshotSuffix)
		log, isLog := parseFileName(e.Name(), logSuffix)
		old := isSnapshot && snapshot < index || isLog && log < index && log <= logIndex
		if !old && !strings.HasSuffix(e.Name(), tempSuffix) {
			continue
		}
		err := s.cfg.FS.Remove(filepath.Join(s.cfg.Dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	if len(b) == 0 {
		return b, nil
	}
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("read %s: %d of %d bytes: %w", f.Name(), n, len(b), err)
	}
	return b, nil
}
