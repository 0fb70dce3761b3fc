package storage

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/vfs"
)

// handle is an open segment file with what is needed to read from it. It is
// counted: the owner (cache or active segment) holds one reference, each
// reader one while it reads. The file is closed with the last.
type handle struct {
	file vfs.File
	refs atomic.Int32
	used atomic.Bool // since the clock's hand last passed
	// index is a sample of the segment's index; nil while the segment has a
	// complete one in memory.
	index atomic.Pointer[[]offsetEntry]
	seg   *segment
}

func newHandle(f vfs.File, seg *segment) *handle {
	h := &handle{file: f, seg: seg}
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

// release gives a reference back. The error is that of closing the file after
// reading, which loses nothing: it is for tests and metrics.
func (h *handle) release() error {
	if h.refs.Add(-1) > 0 {
		return nil
	}
	return h.file.Close()
}

// handleCache bounds the open files of closed segments. The eviction order is
// that of a clock: a handle that was used since the hand last passed gets
// another round.
type handleCache struct {
	openMax int
	metrics *metrics
	mu      sync.Mutex
	ring    []*handle // protected by mu
	hand    int       // protected by mu
}

// add takes over the owner's reference to h.
func (c *handleCache) add(h *handle) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.used.Store(true)
	var err error
	for len(c.ring) >= c.openMax {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		victim := c.ring[c.hand]
		if victim.used.Swap(false) {
			c.hand++
			continue
		}
		err = errors.Join(err, c.removeAt(c.hand))
	}
	c.ring = append(c.ring, h)
	c.metrics.openFiles.Set(float64(len(c.ring)))
	return err
}

// removeAt is called with mu held.
func (c *handleCache) removeAt(i int) error {
	h := c.ring[i]
	last := len(c.ring) - 1
	c.ring[i] = c.ring[last]
	c.ring[last] = nil
	c.ring = c.ring[:last]
	h.seg.handle.CompareAndSwap(h, nil)
	return h.release()
}

// drop closes a segment's handle, if it has one here.
func (c *handleCache) drop(seg *segment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, h := range c.ring {
		if h.seg == seg {
			err := c.removeAt(i)
			c.metrics.openFiles.Set(float64(len(c.ring)))
			return err
		}
	}
	return nil
}
