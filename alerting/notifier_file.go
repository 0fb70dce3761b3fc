package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/alerting/window"
)

// file appends alerts to a file as JSON lines, each on disk before it counts
// as sent. It reads what stands in the file, so that an alert that was written by
// a process that died before it could record it is not written again, and cuts a
// last line that was torn. Several processes may write the same file: each takes
// the file's lock.
type file struct {
	path string

	mu sync.Mutex
	// seen are the ids of the file's lines up to readTo.
	seen   recentIDs
	readTo int64
	// inode tells when another file has taken the path's place (rotation).
	inode uint64
}

func newFile(path string, remembered int) *file {
	return &file{path: path, seen: newRecentIDs(remembered)}
}

func (f *file) retryFor() time.Duration { return 0 }
func (f *file) parallel() int           { return 1 }
func (f *file) recorded() bool          { return true }

func (f *file) send(_ context.Context, a *Alert, line []byte) error {
	id, err := window.ParseID(a.ID)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.append(id, line); err != nil {
		return fmt.Errorf("write alert to file: %w", err)
	}
	return nil
}

// append writes the line unless the file holds the alert.
func (f *file) append(id window.ID, line []byte) error {
	created, err := f.ensure()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = f.appendLocked(out, id, line)
	err = closing(err, out.Close) // the lock ends with it
	if err == nil && created {
		err = syncDir(filepath.Dir(f.path))
	}
	return err
}

// ensure makes the file's directory and reports whether the file is missing.
func (f *file) ensure() (created bool, err error) {
	if _, err := os.Stat(f.path); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	return true, os.MkdirAll(filepath.Dir(f.path), 0o755)
}

func (f *file) appendLocked(out *os.File, id window.ID, line []byte) error {
	if info, err := out.Stat(); err == nil && !info.Mode().IsRegular() {
		_, err = out.Write(append(append([]byte(nil), line...), '\n')) // a pipe or a device
		return err
	}
	if err := unix.Flock(int(out.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", f.path, err)
	}
	if err := f.readOn(out); err != nil {
		return err
	}
	if f.seen.has(id) {
		return out.Sync()
	}
	if _, err := out.Write(append(append([]byte(nil), line...), '\n')); err != nil {
		return errors.Join(err, out.Truncate(f.readTo)) // nothing torn stays
	}
	if err := out.Sync(); err != nil {
		return err
	}
	f.readTo += int64(len(line)) + 1
	f.seen.add(id)
	return nil
}

// readOn reads the lines that were added since the last time, by whatever
// process, and cuts a last line without an end: under the lock nobody is
// writing it any more.
func (f *file) readOn(out *os.File) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(out.Fd()), &stat); err != nil {
		return err
	}
	if stat.Ino != f.inode || stat.Size < f.readTo {
		f.inode, f.readTo = stat.Ino, max(0, stat.Size-fileTailMax)
	}
	if stat.Size == f.readTo {
		return nil
	}
	added := make([]byte, stat.Size-f.readTo)
	if _, err := out.ReadAt(added, f.readTo); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for {
		line, rest, found := bytes.Cut(added, []byte{'\n'})
		if !found {
			break
		}
		f.learn(line)
		f.readTo += int64(len(line)) + 1
		added = rest
	}
	if len(added) > 0 {
		return out.Truncate(f.readTo)
	}
	return nil
}

// learn takes the id of a line; a line of somebody else has none.
func (f *file) learn(line []byte) {
	var a struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(line, &a) != nil {
		return
	}
	if id, err := window.ParseID(a.ID); err == nil {
		f.seen.add(id)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return closing(d.Sync(), d.Close)
}
