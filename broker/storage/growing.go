package storage

import "sync/atomic"

// growing is a list that one writer appends to while others read it without a
// lock. Invariant: n never exceeds the length of *buf, and entries below n
// never change.
type growing[T any] struct {
	buf atomic.Pointer[[]T]
	n   atomic.Int64
}

// add appends v. Only the owner may call it.
func (g *growing[T]) add(v T) {
	n := int(g.n.Load())
	buf := g.buf.Load()
	if buf == nil || n == len(*buf) {
		bigger := make([]T, max(16, 2*n))
		if buf != nil {
			copy(bigger, *buf)
		}
		buf = &bigger
		g.buf.Store(buf)
	}
	(*buf)[n] = v
	g.n.Store(int64(n) + 1)
}

// view returns all entries at this moment. They must not be written to.
func (g *growing[T]) view() []T {
	n := g.n.Load() // first: the buffer only grows
	buf := g.buf.Load()
	if buf == nil {
		return nil
	}
	return (*buf)[:n:n]
}

func (g *growing[T]) len() int { return int(g.n.Load()) }
