package demo

import (
	"fmt"
	"io"
	"os"
	"time"
)

// keptFiles is the number of rotated files that a renamed log keeps.
const keptFiles = 3

// logFile is a file that is rotated. rotate is called before each write and
// reports that nothing is to be written at the moment.
type logFile interface {
	open() error
	rotate(at time.Time) (quiet bool, err error)
	write(text []byte) error
	close() error
}

// appended is an open file that lines are added to.
type appended struct {
	file *os.File
	size int64
}

func (a *appended) openAppend(path string) error {
	if err := makeFolder(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open a demo log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open a demo log: %w", err)
	}
	a.file, a.size = f, info.Size()
	return a.endLine(path)
}

// endLine ends the line that a killed writer has left unfinished.
func (a *appended) endLine(path string) error {
	if a.size == 0 {
		return nil
	}
	r, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a demo log: %w", err)
	}
	defer r.Close() //nolint:errcheck // opened for reading
	var last [1]byte
	if _, err := r.ReadAt(last[:], a.size-1); err != nil {
		return fmt.Errorf("read the end of a demo log: %w", err)
	}
	if last[0] == '\n' {
		return nil
	}
	return a.write([]byte("\n"))
}

func (a *appended) write(text []byte) error {
	n, err := a.file.Write(text)
	a.size += int64(n)
	if err != nil {
		return fmt.Errorf("write a demo log: %w", err)
	}
	return nil
}

func (a *appended) close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}

// renamed is rotated by rename, as logrotate does by default: path becomes
// path.1, path.1 becomes path.2, the oldest is deleted.
type renamed struct {
	appended
	path     string
	bytesMax int64
}

func (f *renamed) open() error { return f.openAppend(f.path) }

func (f *renamed) rotate(time.Time) (quiet bool, err error) {
	if f.size < f.bytesMax {
		return false, nil
	}
	for i := keptFiles; i > 0; i-- {
		if err := os.Rename(f.numbered(i-1), f.numbered(i)); err != nil && !os.IsNotExist(err) {
			return false, fmt.Errorf("rotate a demo log: %w", err)
		}
	}
	if err := f.close(); err != nil {
		return false, fmt.Errorf("rotate a demo log: %w", err)
	}
	return false, f.open()
}

func (f *renamed) numbered(i int) string {
	if i == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, i)
}

// truncated is rotated as logrotate's copytruncate does: path is copied to
// path.1 and emptied in place. Before that it is quiet for a while.
type truncated struct {
	appended
	path       string
	bytesMax   int64
	quietSince time.Time
}

func (f *truncated) open() error { return f.openAppend(f.path) }

func (f *truncated) rotate(at time.Time) (quiet bool, err error) {
	if f.size < f.bytesMax {
		return false, nil
	}
	if f.quietSince.IsZero() {
		f.quietSince = at
	}
	if at.Sub(f.quietSince) < truncateQuiet {
		return true, nil
	}
	f.quietSince = time.Time{}
	if err := copyFile(f.path, f.path+".1"); err != nil {
		return false, fmt.Errorf("rotate a demo log: %w", err)
	}
	if err := f.file.Truncate(0); err != nil {
		return false, fmt.Errorf("rotate a demo log: %w", err)
	}
	f.size = 0
	return false, nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // opened for reading
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close() // the copy has failed already
		return err
	}
	return out.Close()
}
