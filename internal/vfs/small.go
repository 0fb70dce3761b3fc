package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// readFileMax bounds what ReadFile takes, so that a file that is not what it
// should be cannot take all memory.
const readFileMax = 1 << 30

// ReadFile returns the content of a small file.
func ReadFile(fsys FS, name string) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > readFileMax {
		return nil, fmt.Errorf("%s has %d bytes: too large for what it is", name, info.Size())
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// WriteFile replaces a file as a whole: after a crash there is the old or the
// new content. It is durable on return.
func WriteFile(fsys FS, name string, content []byte) error {
	if err := ReplaceFile(fsys, name, content); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// ReplaceFile is WriteFile, but the new content is durable only after the
// directory is synced.
func ReplaceFile(fsys FS, name string, content []byte) error {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		if removeErr := fsys.Remove(tmp); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	return fsys.Rename(tmp, name)
}
