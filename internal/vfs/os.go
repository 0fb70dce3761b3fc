package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by FS.Lock for a lock that another holds.
var ErrLocked = errors.New("file is locked")

const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) open(name string, flag int) (File, error) {
	fd, err := openFile(name, flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return osFile{os.NewFile(uintptr(fd), name)}, nil
}

// openFile opens a file without what [os.OpenFile] does to find out whether the
// runtime can poll it, which takes five more system calls: a file on disk it cannot.
func openFile(name string, flag int) (int, error) {
	for {
		fd, err := unix.Open(name, flag|unix.O_CLOEXEC, filePerm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Create implements [FS].
func (o osFS) Create(name string) (File, error) {
	return o.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open implements [FS].
func (o osFS) Open(name string) (File, error) { return o.open(name, os.O_RDONLY) }

// OpenReadWrite implements [FS].
func (o osFS) OpenReadWrite(name string) (File, error) { return o.open(name, os.O_RDWR) }

// Rename implements [FS].
func (osFS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Link implements [FS].
func (osFS) Link(oldName, newName string) error { return os.Link(oldName, newName) }

// Remove implements [FS].
func (osFS) Remove(name string) error { return os.Remove(name) }

// RemoveAll implements [FS].
func (osFS) RemoveAll(name string) error { return os.RemoveAll(name) }

// MkdirAll implements [FS].
func (osFS) MkdirAll(name string) error { return os.MkdirAll(name, dirPerm) }

// ReadDir implements [FS].
func (osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Stat implements [FS].
func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// SetModTime implements [FS].
func (osFS) SetModTime(name string, modTime time.Time) error {
	return os.Chtimes(name, time.Time{}, modTime)
}

// SyncDir implements [FS].
func (osFS) SyncDir(name string) error {
	fd, err := openFile(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	if err = errors.Join(wholeSync(fd), unix.Close(fd)); err != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	return nil
}

// SyncAll implements [FS].
func (o osFS) SyncAll(name string) error {
	fd, err := openFile(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return &fs.PathError{Op: "syncall", Path: name, Err: err}
	}
	if err = errors.Join(fileSystemSync(fd), unix.Close(fd)); err != nil {
		return &fs.PathError{Op: "syncall", Path: name, Err: err}
	}
	return nil
}

// Lock implements [FS].
func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = recordLock(f.Fd())
	}
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
}

// wholeSync is fsync, which directories want.
func wholeSync(fd int) error {
	for {
		if err := unix.Fsync(fd); err != unix.EINTR {
			return err
		}
	}
}

type osFile struct{ *os.File }

// Sync forces content and length to disk; it leaves out times, which
// fsync would write too.
func (f osFile) Sync() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) { syncErr = dataSync(int(fd)) })
	if err = errors.Join(err, syncErr); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return nil
}
