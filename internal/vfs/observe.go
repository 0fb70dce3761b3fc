package vfs

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// Op is one call of a file system.
type Op struct {
	// Kind is the method: create, open, openrw, rename, link, remove, removeall,
	// mkdir, readdir, stat, chtimes, syncdir, syncall, lock, read, write, truncate, sync, close.
	Kind string
	// Name is the file or directory; for rename the new name.
	Name string
	// Size is the number of bytes of a read or write, the length of a truncate.
	Size int64
}

// Changes says whether the call changes anything that a crash could show.
func (o Op) Changes() bool {
	switch o.Kind {
	case "create", "rename", "link", "remove", "removeall", "mkdir", "syncdir", "syncall", "write", "truncate", "sync":
		return true
	}
	return false
}

// ShortWrite makes an observed write fail after its first N bytes.
type ShortWrite struct {
	N   int
	Err error
}

// Error returns the text of Err.
func (e *ShortWrite) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ShortWrite) Unwrap() error { return e.Err }

// Hooks see the calls of a file system. Both may be nil and are called from
// the goroutine of the call.
type Hooks struct {
	// Before may return an error, which then is the result of the call.
	Before func(Op) error
	// After is called when the call has been made and had no error.
	After func(Op)
}

// Observe returns base with hooks around every call.
func Observe(base FS, h Hooks) FS { return &observed{base: base, hooks: h} }

type observed struct {
	base  FS
	hooks Hooks
}

func (o *observed) do(op Op, call func() error) error {
	if o.hooks.Before != nil {
		if err := o.hooks.Before(op); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		return err
	}
	if o.hooks.After != nil {
		o.hooks.After(op)
	}
	return nil
}

func observe[T any](o *observed, kind, name string, call func() (T, error)) (T, error) {
	var out T
	err := o.do(Op{Kind: kind, Name: name}, func() (err error) {
		out, err = call()
		return err
	})
	return out, err
}

func (o *observed) file(kind, name string, open func(string) (File, error)) (File, error) {
	return observe(o, kind, name, func() (File, error) {
		f, err := open(name)
		if err != nil {
			return nil, err
		}
		return &observedFile{File: f, fs: o}, nil
	})
}

// Create implements [FS].
func (o *observed) Create(name string) (File, error) { return o.file("create", name, o.base.Create) }

// Open implements [FS].
func (o *observed) Open(name string) (File, error) { return o.file("open", name, o.base.Open) }

// OpenReadWrite implements [FS].
func (o *observed) OpenReadWrite(name string) (File, error) {
	return o.file("openrw", name, o.base.OpenReadWrite)
}

// Rename implements [FS].
func (o *observed) Rename(oldName, newName string) error {
	return o.do(Op{Kind: "rename", Name: newName}, func() error { return o.base.Rename(oldName, newName) })
}

// Link implements [FS].
func (o *observed) Link(oldName, newName string) error {
	return o.do(Op{Kind: "link", Name: newName}, func() error { return o.base.Link(oldName, newName) })
}

// Remove implements [FS].
func (o *observed) Remove(name string) error {
	return o.do(Op{Kind: "remove", Name: name}, func() error { return o.base.Remove(name) })
}

// RemoveAll implements [FS].
func (o *observed) RemoveAll(name string) error {
	return o.do(Op{Kind: "removeall", Name: name}, func() error { return o.base.RemoveAll(name) })
}

// MkdirAll implements [FS].
func (o *observed) MkdirAll(name string) error {
	return o.do(Op{Kind: "mkdir", Name: name}, func() error { return o.base.MkdirAll(name) })
}

// SetModTime implements [FS].
func (o *observed) SetModTime(name string, modTime time.Time) error {
	return o.do(Op{Kind: "chtimes", Name: name}, func() error { return o.base.SetModTime(name, modTime) })
}

// SyncDir implements [FS].
func (o *observed) SyncDir(name string) error {
	return o.do(Op{Kind: "syncdir", Name: name}, func() error { return o.base.SyncDir(name) })
}

// SyncAll implements [FS].
func (o *observed) SyncAll(name string) error {
	return o.do(Op{Kind: "syncall", Name: name}, func() error { return o.base.SyncAll(name) })
}

// ReadDir implements [FS].
func (o *observed) ReadDir(name string) ([]fs.DirEntry, error) {
	return observe(o, "readdir", name, func() ([]fs.DirEntry, error) { return o.base.ReadDir(name) })
}

// Stat implements [FS].
func (o *observed) Stat(name string) (fs.FileInfo, error) {
	return observe(o, "stat", name, func() (fs.FileInfo, error) { return o.base.Stat(name) })
}

// Lock implements [FS].
func (o *observed) Lock(name string) (io.Closer, error) {
	return observe(o, "lock", name, func() (io.Closer, error) { return o.base.Lock(name) })
}

type observedFile struct {
	File
	fs *observed
}

// ReadAt implements [File].
func (f *observedFile) ReadAt(p []byte, off int64) (n int, err error) {
	// The end of a file is a result, not a failure: After sees it too.
	doErr := f.fs.do(Op{Kind: "read", Name: f.Name(), Size: int64(len(p))}, func() error {
		n, err = f.File.ReadAt(p, off)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	})
	if doErr != nil {
		return n, doErr
	}
	return n, err
}

// WriteAt implements [File].
func (f *observedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: "write", Name: f.Name(), Size: int64(len(p))}, func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	if short, ok := err.(*ShortWrite); ok { //nolint:errorlint // Before returns it as it is.
		n, err = f.File.WriteAt(p[:min(short.N, len(p))], off)
		if err == nil {
			err = short.Err
		}
	}
	return n, err
}

// Truncate implements [File].
func (f *observedFile) Truncate(size int64) error {
	return f.fs.do(Op{Kind: "truncate", Name: f.Name(), Size: size}, func() error { return f.File.Truncate(size) })
}

// Sync implements [File].
func (f *observedFile) Sync() error {
	return f.fs.do(Op{Kind: "sync", Name: f.Name()}, f.File.Sync)
}
