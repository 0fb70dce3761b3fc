package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a file system in memory that knows what would survive a loss of power.
// Make one with NewMem.
type Mem struct {
	mu    sync.Mutex
	clock func() time.Time
	root  *node
	locks map[string]bool
}

// node is a file or a directory. All fields are protected by Mem.mu.
type node struct {
	isDir   bool
	modTime time.Time

	// entries of a directory as seen, and as they are on disk.
	entries, durable map[string]*node

	// data of a file as seen; synced as it is on disk; pending leads from
	// synced to data.
	data, synced []byte
	pending      []change
}

// change is one write (data) or truncation (data is nil) of a file.
type change struct {
	offset int64
	data   []byte
}

func (c change) apply(b []byte) []byte {
	end := c.offset + int64(len(c.data))
	if c.data == nil && end < int64(len(b)) {
		return b[:end]
	}
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.offset:], c.data)
	return b
}

// NewMem returns an empty file system. clock gives modification times; nil is time.Now.
func NewMem(clock func() time.Time) *Mem {
	if clock == nil {
		clock = time.Now
	}
	return &Mem{clock: clock, root: newDir(), locks: map[string]bool{}}
}

func newDir() *node {
	return &node{isDir: true, entries: map[string]*node{}, durable: map[string]*node{}}
}

func clean(name string) string { return path.Clean("/" + filepath.ToSlash(name)) }

func (m *Mem) find(name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(strings.Trim(clean(name), "/"), "/") {
		if part == "" {
			continue
		}
		if !n.isDir || n.entries[part] == nil {
			return nil, fs.ErrNotExist
		}
		n = n.entries[part]
	}
	return n, nil
}

// parent returns the directory that holds name, and the last part of name.
func (m *Mem) parent(name string) (*node, string, error) {
	dir, last := path.Split(clean(name))
	n, err := m.find(dir)
	if err == nil && !n.isDir {
		err = fs.ErrInvalid
	}
	return n, last, err
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Create implements [FS].
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.parent(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	n := dir.entries[last]
	if n == nil {
		n = &node{}
		dir.entries[last] = n
	} else if n.isDir {
		return nil, pathError("create", name, fs.ErrExist)
	} else {
		n.change(change{})
	}
	n.modTime = m.clock()
	return &memFile{fs: m, node: n, name: name}, nil
}

func (n *node) change(c change) {
	n.data = c.apply(n.data)
	n.pending = append(n.pending, c)
}

func (m *Mem) open(name string, readOnly bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.isDir {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &memFile{fs: m, node: n, name: name, readOnly: readOnly}, nil
}

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) { return m.open(name, true) }

// OpenReadWrite implements [FS].
func (m *Mem) OpenReadWrite(name string) (File, error) { return m.open(name, false) }

// Rename implements [FS].
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldLast, err := m.parent(oldName)
	if err != nil {
		return pathError("rename", oldName, err)
	}
	to, newLast, err := m.parent(newName)
	if err != nil {
		return pathError("rename", newName, err)
	}
	n, target := from.entries[oldLast], to.entries[newLast]
	if n == nil {
		return pathError("rename", oldName, fs.ErrNotExist)
	}
	if target != nil && (target.isDir != n.isDir || len(target.entries) > 0) {
		return pathError("rename", newName, fs.ErrExist)
	}
	delete(from.entries, oldLast)
	to.entries[newLast] = n
	return nil
}

// Link implements [FS]. A crash makes two files of it.
func (m *Mem) Link(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(oldName)
	if err == nil && n.isDir {
		err = fs.ErrPermission
	}
	if err != nil {
		return pathError("link", oldName, err)
	}
	dir, last, err := m.parent(newName)
	if err == nil && dir.entries[last] != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return pathError("link", newName, err)
	}
	dir.entries[last] = n
	return nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.parent(name)
	if err == nil && dir.entries[last] == nil {
		err = fs.ErrNotExist
	}
	if err == nil && len(dir.entries[last].entries) > 0 {
		err = fmt.Errorf("directory is not empty: %w", fs.ErrExist)
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	delete(dir.entries, last)
	return nil
}

// RemoveAll implements [FS].
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if dir, last, err := m.parent(name); err == nil {
		delete(dir.entries, last)
	}
	return nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for part := range strings.SplitSeq(strings.Trim(clean(name), "/"), "/") {
		if part == "" {
			continue
		}
		next := n.entries[part]
		if next == nil {
			next = newDir()
			next.modTime = m.clock()
			n.entries[part] = next
		}
		if !next.isDir {
			return pathError("mkdir", name, fs.ErrExist)
		}
		n = next
	}
	return nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findDir("readdir", name)
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	for name, e := range n.entries {
		out = append(out, fs.FileInfoToDirEntry(e.info(name)))
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Stat implements [FS].
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(clean(name))), nil
}

// SetModTime implements [FS].
func (m *Mem) SetModTime(name string, modTime time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return pathError("chtimes", name, err)
	}
	n.modTime = modTime
	return nil
}

// findDir returns a directory, for the operation op.
func (m *Mem) findDir(op, name string) (*node, error) {
	n, err := m.find(name)
	if err == nil && !n.isDir {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, pathError(op, name, err)
	}
	return n, nil
}

// SyncDir implements [FS].
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findDir("syncdir", name)
	if err != nil {
		return err
	}
	n.durable = maps.Clone(n.entries)
	return nil
}

// SyncAll implements [FS].
func (m *Mem) SyncAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.findDir("syncall", name); err != nil {
		return err
	}
	m.root.syncAll()
	return nil
}

func (n *node) syncAll() {
	if !n.isDir {
		n.sync()
		return
	}
	n.durable = maps.Clone(n.entries)
	for _, child := range n.entries {
		child.syncAll()
	}
}

// Lock implements [FS].
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.Create(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[clean(name)] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	m.locks[clean(name)] = true
	return &memLock{File: f, fs: m}, nil
}

type memLock struct {
	File
	fs *Mem
}

// Close implements [io.Closer].
func (l *memLock) Close() error {
	l.fs.mu.Lock()
	delete(l.fs.locks, clean(l.Name()))
	l.fs.mu.Unlock()
	return l.File.Close()
}
