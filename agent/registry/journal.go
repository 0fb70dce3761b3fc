package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Filesystem is what the journal needs of one; tests inject errors and torn
// writes with it.
type Filesystem interface {
	ReadFile(name string) ([]byte, error)
	// Create makes an empty file, Open opens one to append to after cutting it to size.
	Create(name string) (JournalFile, error)
	Open(name string, size int64) (JournalFile, error)
	Rename(from, to string) error
	Remove(name string) error
	ReadDir(dir string) ([]string, error)
	SyncDir(dir string) error
}

// JournalFile is an open journal. Sync makes all written bytes durable.
type JournalFile interface {
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// OS is the host's file system.
type OS struct{}

// ReadFile reads the whole file.
func (OS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// Create makes an empty file for writing.
func (OS) Create(name string) (JournalFile, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Open opens a file for appending after its first size bytes; the rest is cut.
func (OS) Open(name string, size int64) (JournalFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(size, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

// Rename replaces to.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove deletes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// ReadDir returns the names in dir.
func (OS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// SyncDir makes the names in dir durable.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

type osFile struct{ *os.File }

// Sync is fdatasync where the system has it.
func (f osFile) Sync() error { return dataSync(f.File) }

const (
	journalPrefix = "journal-"
	journalSuffix = ".mj"
	tmpSuffix     = ".tmp"
)

func journalName(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%012d%s", journalPrefix, n, journalSuffix))
}

// journals returns the numbers of the journal files in dir, newest first, and
// the names of leftovers of a crash.
func journals(fsys Filesystem, dir string) (numbers []uint64, leftovers []string, err error) {
	names, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, journalPrefix) && strings.HasSuffix(name, tmpSuffix) {
			leftovers = append(leftovers, filepath.Join(dir, name))
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(name, journalPrefix+"%d"+journalSuffix, &n); err == nil && filepath.Join(dir, name) == journalName(dir, n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	return numbers, leftovers, nil
}

// ErrNewerFormat is returned for a journal of a later version of Millrace.
var ErrNewerFormat = errors.New("the registry was written by a newer version of Millrace: start that version, or move the agent's data directory away")

// errIncomplete is a journal without a whole snapshot.
var errIncomplete = errors.New("the journal has no whole snapshot")

// replay plays a journal's bytes. It returns the state and how many bytes are
// good; what follows them is a torn tail.
func replay(data []byte) (*state, int, error) {
	if len(data) < headerLen || string(data[:len(magic)]) != magic {
		return nil, 0, errIncomplete
	}
	if v := data[len(magic)]; v != version {
		return nil, 0, fmt.Errorf("format version %d, this version knows %d: %w", v, version, ErrNewerFormat)
	}
	s, good, ended := newState(), headerLen, false
	for good < len(data) {
		payload, n, err := nextEntry(data[good:])
		if err != nil {
			break
		}
		end, err := s.apply(payload)
		if err != nil {
			return nil, good, fmt.Errorf("entry at %d has a valid checksum and cannot be read: %w", good, err)
		}
		ended = ended || end
		good += n
	}
	if !ended {
		return nil, good, errIncomplete
	}
	return s, good, nil
}
