package storage

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/millrace/millrace/internal/vfs"
)

// handle is an open segment file with what is needed to read from it. It is
// counted: the cache holds one reference, each reader and writer one while it
// works. The file is closed with the last.
type handle struct {
	file vfs.File
	seg  *segment
	refs atomic.Int32
	used atomic.Bool // since the clock's hand last passed
	// dirty says that something was written through the file since it was last
	// forced to disk: it may not be closed before, because the kernel reports
	// a failed write to those who have the file open.
	dirty atomic.Bool
	// index is a sample of the segment's index, made from the batches because the
	// file is damaged; nil otherwise.
	index atomic.Pointer[[]offsetEntry]
	// aborted is the segment's transaction index, nil while it is not loaded.
	aborted atomic.Pointer[[]abortedTxn]
	// cursors are where readers of long runs go on.
	cursors spanCursors
	// slot is the handle's place in the cache; protected by the cache's lock.
	slot int
}

const (
	noSlot = -1
	// unsynced is a position below every size: nothing of a file is known to be on disk.
	unsynced = -1
)

func newHandle(f vfs.File, seg *segment) *handle {
	h := &handle{file: f, seg: seg, slot: noSlot}
	h.refs.Store(1)
	return h
}

// acquire takes a reference; false when the handle is closed.
func (h *handle) acquire() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// claim takes the last reference, so that nobody can acquire the handle any
// more; false while somebody works with it.
func (h *handle) claim() bool { return h.refs.CompareAndSwap(1, 0) }

// release gives a reference back. The error is that of closing the file after
// reading, which loses nothing: it is for tests and metrics.
func (h *handle) release() error {
	if h.refs.Add(-1) > 0 {
		return nil
	}
	return h.file.Close()
}

// ReadAt implements [SpanFile].
func (h *handle) ReadAt(b []byte, at int64) (int, error) { return h.file.ReadAt(b, at) }

// SyscallConn implements [SpanFile], for files of the operating system.
func (h *handle) SyscallConn() (syscall.RawConn, error) {
	if f, ok := h.file.(syscall.Conn); ok {
		return f.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// SendFailed implements [SpanFile].
func (h *handle) SendFailed() { h.seg.checked.forget() }

// handleCache bounds the open segment files of a store, those that are written
// and those that are only read. The eviction order is that of a clock, which
// is close to least recently used without a lock on each use: a handle that was
// used since the hand last passed gets another round. Handles with unsynced
// writes go last, and only after they were forced to disk.
//
// The bound is exceeded only by handles that are in use at this moment.
type handleCache struct {
	openMax int
	// syncMust says that what was written must be on disk before a file is closed.
	syncMust bool
	metrics  *metrics
	mu       sync.Mutex
	ring     []*handle // protected by mu
	hand     int       // protected by mu
}

// open calls do, and once more with half the files closed when there is no
// descriptor left.
func (c *handleCache) open(do func() (vfs.File, error)) (vfs.File, error) {
	f, err := do()
	if !isNoFiles(err) {
		return f, err
	}
	c.metrics.noDescriptors.Inc()
	c.mu.Lock()
	victims := c.evict(len(c.ring) / 2)
	c.mu.Unlock()
	if err := closeVictims(victims, c.syncMust); err != nil {
		return nil, err
	}
	return do()
}

// add takes over the owner's reference to h.
func (c *handleCache) add(h *handle) error {
	h.used.Store(true)
	c.mu.Lock()
	h.slot = len(c.ring)
	c.ring = append(c.ring, h)
	victims := c.evict(c.openMax)
	c.metrics.openFiles.Set(float64(len(c.ring)))
	c.mu.Unlock()
	return closeVictims(victims, c.syncMust)
}

// evict takes handles out until at most keep are left or all others are in
// use. It is called with mu held; the caller closes what it returns.
func (c *handleCache) evict(keep int) []*handle {
	var victims []*handle
	// Two rounds spare what was used or has unsynced writes, the third takes
	// whatever nobody works with.
	for steps := 3 * len(c.ring); len(c.ring) > keep && steps > 0; steps-- {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		h := c.ring[c.hand]
		spared := steps > len(c.ring) && (h.used.Swap(false) || h.dirty.Load())
		if spared || !h.claim() {
			c.hand++
			continue
		}
		c.removeAt(h.slot)
		victims = append(victims, h)
	}
	return victims
}

// removeAt is called with mu held.
func (c *handleCache) removeAt(i int) {
	h, last := c.ring[i], len(c.ring)-1
	c.ring[i] = c.ring[last]
	c.ring[i].slot = i
	c.ring[last] = nil
	c.ring = c.ring[:last]
	h.slot = noSlot
	h.seg.handle.CompareAndSwap(h, nil)
}

// closeVictims closes claimed handles. A failed sync is the segment's to
// report: it stays there for whoever waits for it.
func closeVictims(victims []*handle, syncMust bool) error {
	var err error
	for _, h := range victims {
		if syncMust && h.dirty.Load() {
			h.seg.syncBeforeClose(h)
		}
		err = errors.Join(err, h.file.Close())
	}
	return err
}

// drop closes a segment's handle, if it has one.
func (c *handleCache) drop(seg *segment) error {
	c.mu.Lock()
	h := seg.handle.Load()
	if h == nil || h.slot == noSlot {
		c.mu.Unlock()
		return nil
	}
	c.removeAt(h.slot)
	c.metrics.openFiles.Set(float64(len(c.ring)))
	c.mu.Unlock()
	return h.release()
}

// closeAll closes everything that is left when the store ends.
func (c *handleCache) closeAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for len(c.ring) > 0 {
		h := c.ring[len(c.ring)-1]
		c.removeAt(h.slot)
		err = errors.Join(err, h.release())
	}
	c.metrics.openFiles.Set(0)
	return err
}

// isNoFiles says whether a file could not be opened for want of descriptors.
func isNoFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
