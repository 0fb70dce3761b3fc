package storage

import (
	"context"
	"sort"
	"sync"
)

// Waiter is told when the readable part of a log changes.
type Waiter interface {
	// Notify is called after the high watermark has advanced, with which the last
	// stable offset does, and when the log
	// goes offline, is deleted or closed. It must not block and not call the log.
	Notify()
}

// Signal is a Waiter that can be selected on.
type Signal chan struct{}

// NewSignal returns a Signal that holds one pending notification.
func NewSignal() Signal { return make(Signal, 1) }

// Notify implements [Waiter].
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// waiters are those who wait for a log's flushed end or high watermark. Their number
// is bounded by the requests in work.
type waiters struct {
	mu sync.Mutex
	// flush is ordered by offset.
	flush []flushWaiter
	hw    map[Waiter]struct{}
}

type flushWaiter struct {
	offset int64
	fn     func(error)
}

func (w *waiters) add(f flushWaiter) {
	i := len(w.flush)
	if i > 0 && w.flush[i-1].offset > f.offset {
		i = sort.Search(len(w.flush), func(i int) bool { return w.flush[i].offset > f.offset })
	}
	w.flush = append(w.flush, flushWaiter{})
	copy(w.flush[i+1:], w.flush[i:])
	w.flush[i] = f
}

// take removes the waiters for offsets below flushed.
func (w *waiters) take(flushed int64) []flushWaiter {
	n := sort.Search(len(w.flush), func(i int) bool { return w.flush[i].offset >= flushed })
	if n == 0 {
		return nil
	}
	done := append([]flushWaiter(nil), w.flush[:n]...)
	rest := copy(w.flush, w.flush[n:])
	clear(w.flush[rest:])
	w.flush = w.flush[:rest]
	return done
}

// any reports whether somebody waits for the log's flushed end or high watermark.
func (w *waiters) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.flush) > 0 || len(w.hw) > 0
}

func (w *waiters) notify() {
	for waiter := range w.hw {
		waiter.Notify()
	}
}

func (w *waiters) failAll(err error) {
	w.mu.Lock()
	done := w.flush
	w.flush = nil
	w.notify()
	w.mu.Unlock()
	for _, f := range done {
		f.fn(err)
	}
}

// advance raises the flushed end and the high watermark (a lower value
// changes nothing) and wakes who waited for them. All of it is one step for
// them: who is told that a record is durable finds it below the high watermark.
func (l *Log) advance(flushed, hw int64) {
	l.waiters.mu.Lock()
	raise(&l.flushed, flushed)
	moved := raise(&l.hw, hw)
	if stale := &l.store.checkpoints.stale; moved && !stale.Load() {
		stale.Store(true)
	}
	l.stable.advanced(l.hw.Load())
	done := l.waiters.take(l.flushed.Load())
	if moved {
		l.waiters.notify()
	}
	l.waiters.mu.Unlock()
	for _, f := range done {
		f.fn(nil)
	}
}

type atomicInt64 interface {
	Load() int64
	CompareAndSwap(old, new int64) bool
}

func raise(v atomicInt64, to int64) bool {
	for {
		old := v.Load()
		if to <= old {
			return false
		}
		if v.CompareAndSwap(old, to) {
			return true
		}
	}
}

// WaitFlushed returns when the record at offset is durable (flushed end >
// offset), with nil; when the log goes offline, is deleted or closed first,
// with that error; or when ctx ends. Under DurabilityOS it returns at once. With nil
// the record is below the high watermark, too.
func (l *Log) WaitFlushed(ctx context.Context, offset int64) error {
	done := make(chan error, 1)
	l.OnFlushed(offset, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// OnFlushed calls fn once when WaitFlushed would return, possibly before
// OnFlushed returns, otherwise on the flusher's goroutine: fn must not block.
func (l *Log) OnFlushed(offset int64, fn func(error)) {
	l.waiters.mu.Lock()
	err := l.Err()
	switch {
	case l.flushed.Load() > offset || err == nil && l.store.cfg.Durability == DurabilityOS:
		err = nil
	case err == nil:
		l.waiters.add(flushWaiter{offset, fn})
		l.waiters.mu.Unlock()
		l.hurry()
		return
	}
	l.waiters.mu.Unlock()
	fn(err)
}

// AddWaiter registers w until RemoveWaiter. Register first, then read: a
// change in between is then not missed.
func (l *Log) AddWaiter(w Waiter) {
	l.tail.follow(l.store.nowMs())
	l.waiters.mu.Lock()
	if l.waiters.hw == nil {
		l.waiters.hw = map[Waiter]struct{}{}
	}
	l.waiters.hw[w] = struct{}{}
	l.waiters.mu.Unlock()
	l.hurry()
}

// RemoveWaiter undoes AddWaiter.
func (l *Log) RemoveWaiter(w Waiter) {
	l.waiters.mu.Lock()
	defer l.waiters.mu.Unlock()
	delete(l.waiters.hw, w)
}
