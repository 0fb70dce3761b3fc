// Package vfs is the small part of a file system that durable state needs, as
// an interface, so that tests can drop what was not synced and fail any call.
//
// [OS] is the operating system's. [Mem] holds everything in memory and can be
// cloned as it would be found after a loss of power: see [Mem.Crash].
// [Observe] sees, and may fail, every call of another file system.
//
// Durability rules, as on ext4: File.Sync makes a file's content and length
// durable. A file's name is durable after SyncDir of its directory, which also makes
// renames and removals in it durable.
package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is a file system. All methods may be called from any goroutine. Errors
// satisfy errors.Is with fs.ErrNotExist and fs.ErrExist.
type FS interface {
	// Create makes a new file for reading and writing; one that exists is truncated.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenReadWrite opens a file that exists for reading and writing.
	OpenReadWrite(name string) (File, error)
	// Rename moves a file or directory over another.
	Rename(oldName, newName string) error
	// Link gives a file a second name, which must not be there yet; its
	// durability is that of a new file's name.
	Link(oldName, newName string) error
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// RemoveAll deletes a tree; one that does not exist is no error.
	RemoveAll(name string) error
	// MkdirAll makes a directory and its parents.
	MkdirAll(name string) error
	// ReadDir lists a directory in the order of names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// SetModTime sets when a file was last changed. Nobody relies on its being durable.
	SetModTime(name string, modTime time.Time) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// SyncAll makes all contents, lengths and names durable of the file system
	// that the directory is in: with many files it costs less than one call for each. What
	// else the file system holds is forced to disk too. The error satisfies
	// errors.Is with errors.ErrUnsupported where the operating system cannot do it.
	SyncAll(name string) error
	// Lock takes an exclusive lock on a file, which is created when missing, until Close. It
	// returns an error that satisfies errors.Is with ErrLocked if another holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Truncate sets the length.
	Truncate(size int64) error
	// Sync makes content and length durable (fdatasync).
	Sync() error
	// Stat describes the file.
	Stat() (fs.FileInfo, error)
	// Name is the name the file was opened by.
	Name() string
}
