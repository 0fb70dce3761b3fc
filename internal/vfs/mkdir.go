package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MkdirAllDurable makes a directory and its parents so that they survive a loss
// of power. The parent of name is synced in any case: name may have been
// made by a process that ended before it could.
func MkdirAllDurable(fsys FS, name string) error {
	name = filepath.Clean(name)
	parents := []string{filepath.Dir(name)}
	for {
		parent := parents[len(parents)-1]
		_, err := fsys.Stat(parent)
		if err == nil || parent == filepath.Dir(parent) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		parents = append(parents, filepath.Dir(parent))
	}
	if err := fsys.MkdirAll(name); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := fsys.SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}
