package wire

import (
	"container/list"
	"sync"
)

// Budget bounds the bytes of all requests and responses in work on a node.
// Waiters are served in order, so a large reservation is not starved by small
// ones. Safe for concurrent use.
type Budget struct {
	mu      sync.Mutex
	max     int64
	used    int64
	waiters list.List // of *budgetWaiter
}

type budgetWaiter struct {
	bytes   int64
	granted chan struct{}
}

// NewBudget returns a budget of max bytes.
func NewBudget(max int64) *Budget { return &Budget{max: max} }

// Max returns the size of the budget.
func (b *Budget) Max() int64 { return b.max }

// Used returns the bytes that are reserved now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Reserve waits until n bytes are free and takes them; it returns false when
// closed is closed first. A request for more than the whole budget is given the
// whole budget. The caller releases what [Budget.Cap] returns for n.
//
// Nobody may wait here while holding a reservation.
func (b *Budget) Reserve(n int64, closed <-chan struct{}) bool {
	n = b.Cap(n)
	b.mu.Lock()
	if b.waiters.Len() == 0 && b.used+n <= b.max {
		b.used += n
		b.mu.Unlock()
		return true
	}
	w := &budgetWaiter{bytes: n, granted: make(chan struct{})}
	e := b.waiters.PushBack(w)
	b.mu.Unlock()
	select {
	case <-w.granted:
		return true
	case <-closed:
		b.abandon(e, w)
		return false
	}
}

// abandon takes a waiter out of the queue, or gives back what it was granted
// at the last moment.
func (b *Budget) abandon(e *list.Element, w *budgetWaiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted:
		b.used -= w.bytes
	default:
		b.waiters.Remove(e)
	}
	b.grant()
}

// TryReserve takes n bytes if they are free now and nobody waits.
func (b *Budget) TryReserve(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters.Len() > 0 || b.used+n > b.max {
		return false
	}
	b.used += n
	return true
}

// Force takes n bytes even beyond the budget: for the one batch that a fetch
// must return although it is larger than what was reserved.
func (b *Budget) Force(n int64) {
	b.mu.Lock()
	b.used += n
	b.mu.Unlock()
}

// Release gives n bytes back.
func (b *Budget) Release(n int64) {
	b.mu.Lock()
	b.used -= n
	if b.used < 0 {
		panic("wire: more released than reserved")
	}
	b.grant()
	b.mu.Unlock()
}

// Cap returns n, or the whole budget where n is larger.
func (b *Budget) Cap(n int64) int64 { return min(n, b.max) }

func (b *Budget) grant() {
	for e := b.waiters.Front(); e != nil; e = b.waiters.Front() {
		w := e.Value.(*budgetWaiter)
		if b.used+w.bytes > b.max {
			return
		}
		b.used += w.bytes
		b.waiters.Remove(e)
		close(w.granted)
	}
}
