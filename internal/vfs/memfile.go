package vfs

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// memFile is an open file of a Mem.
type memFile struct {
	fs       *Mem
	node     *node
	name     string
	readOnly bool
	closed   bool
}

// Name implements [File].
func (f *memFile) Name() string { return f.name }

func (f *memFile) check(op string, write bool, offset int64) error {
	switch {
	case f.closed:
		return pathError(op, f.name, fs.ErrClosed)
	case write && f.readOnly:
		return pathError(op, f.name, fs.ErrPermission)
	case offset < 0:
		return pathError(op, f.name, fs.ErrInvalid)
	}
	return nil
}

// ReadAt implements [File].
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("read", false, off); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements [File].
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("write", true, off); err != nil {
		return 0, err
	}
	f.node.change(change{offset: off, data: append([]byte{}, p...)})
	f.node.modTime = f.fs.clock()
	return len(p), nil
}

// Truncate implements [File].
func (f *memFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	f.node.change(change{offset: size})
	f.node.modTime = f.fs.clock()
	return nil
}

// Sync implements [File].
func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("sync", false, 0); err != nil {
		return err
	}
	f.node.sync()
	return nil
}

// sync makes a file durable. It is called with the lock of the file system.
func (n *node) sync() {
	for _, c := range n.pending {
		n.synced = c.apply(n.synced)
	}
	n.pending = nil
}

// Stat implements [File].
func (f *memFile) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("stat", false, 0); err != nil {
		return nil, err
	}
	return f.node.info(path.Base(clean(f.name))), nil
}

// Close implements [File].
func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("close", false, 0); err != nil {
		return err
	}
	f.closed = true
	return nil
}

// memInfo is a snapshot of a node.
type memInfo struct {
	name    string
	size    int64
	isDir   bool
	modTime time.Time
}

func (n *node) info(name string) memInfo {
	return memInfo{name: name, size: int64(len(n.data)), isDir: n.isDir, modTime: n.modTime}
}

// Name implements [fs.FileInfo].
func (i memInfo) Name() string { return i.name }

// Size implements [fs.FileInfo].
func (i memInfo) Size() int64 { return i.size }

// IsDir implements [fs.FileInfo].
func (i memInfo) IsDir() bool { return i.isDir }

// ModTime implements [fs.FileInfo].
func (i memInfo) ModTime() time.Time { return i.modTime }

// Sys implements [fs.FileInfo].
func (i memInfo) Sys() any { return nil }

// Mode implements [fs.FileInfo].
func (i memInfo) Mode() fs.FileMode {
	if i.isDir {
		return fs.ModeDir | dirPerm
	}
	return filePerm
}

// Random is what a crash needs of math/rand/v2.
type Random interface {
	IntN(n int) int
}

// CrashMode says what a crash leaves of changes that were not synced.
type CrashMode int

const (
	// CrashProcess keeps everything: the process was killed, the machine runs on.
	CrashProcess CrashMode = iota
	// CrashDrop keeps nothing that was not synced.
	CrashDrop
	// CrashPrefix keeps of each file a random number of the first changes, the
	// last of them perhaps in part, and of each directory the old or the new entries.
	CrashPrefix
	// CrashHoles keeps of each file random pages of 512 bytes of what was not
	// synced, and zeros for the others.
	CrashHoles
)

const crashPageSize = 512

// Crash returns a copy as it would be found after a crash at this moment. The
// copy has no locks and everything in it is durable. random may be nil for CrashProcess and CrashDrop.
func (m *Mem) Crash(mode CrashMode, random Random) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem(m.clock)
	out.root = m.root.crash(mode, random)
	return out
}

func (n *node) crash(mode CrashMode, random Random) *node {
	if !n.isDir {
		data := n.crashData(mode, random)
		return &node{modTime: n.modTime, data: data, synced: slices.Clone(data)}
	}
	entries := n.durable
	if mode == CrashProcess || (mode == CrashPrefix || mode == CrashHoles) && random.IntN(2) == 0 {
		entries = n.entries
	}
	out := newDir()
	out.modTime = n.modTime
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names) // so that a seed gives the same crash again
	for _, name := range names {
		e := entries[name].crash(mode, random)
		out.entries[name], out.durable[name] = e, e
	}
	return out
}

func (n *node) crashData(mode CrashMode, random Random) []byte {
	data := slices.Clone(n.synced)
	switch {
	case mode == CrashProcess:
		return slices.Clone(n.data)
	case mode == CrashDrop || len(n.pending) == 0:
		return data
	case mode == CrashHoles:
		return n.crashHoles(data, random)
	}
	keep := random.IntN(len(n.pending) + 1)
	for _, c := range n.pending[:keep] {
		data = c.apply(data)
	}
	if keep < len(n.pending) && n.pending[keep].data != nil {
		c := n.pending[keep]
		c.data = c.data[:random.IntN(len(c.data)+1)]
		data = c.apply(data)
	}
	return data
}

func (n *node) crashHoles(old []byte, random Random) []byte {
	out := make([]byte, len(n.data))
	copy(out, old)
	for at := 0; at < len(n.data); at += crashPageSize {
		if random.IntN(3) > 0 {
			copy(out[at:min(at+crashPageSize, len(out))], n.data[at:])
		}
	}
	// The length may lag behind too, but never behind what was synced.
	lost := min(len(out)-min(len(old), len(out)), crashPageSize)
	return out[:len(out)-random.IntN(lost+1)]
}
