package alerting

import (
	"context"
	"sync"

	"github.com/millrace/millrace/alerting/window"
)

// progress knows which of the records that were begun in order are done, in
// any order, and up to where all are.
type progress struct {
	mu sync.Mutex
	// open are the offsets that were begun and are not below the first that is
	// not done, in order; done holds those of them that are.
	open []int64
	done map[int64]bool
	// room holds one token for each offset in open.
	room chan struct{}
}

// newProgress allows limit records between the first that is not done and the last begun.
func newProgress(limit int) *progress {
	return &progress{done: map[int64]bool{}, room: make(chan struct{}, limit)}
}

// begin waits for room; false when ctx ended before.
func (p *progress) begin(ctx context.Context, offset int64) bool {
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, offset)
	return true
}

// finish says that a record is done. Where that moves the place up to which all
// are, next is the offset to commit.
func (p *progress) finish(offset int64) (next int64, advanced bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[offset] = true
	for len(p.open) > 0 && p.done[p.open[0]] {
		next, advanced = p.open[0]+1, true
		delete(p.done, p.open[0])
		p.open = p.open[1:]
		<-p.room
	}
	return next, advanced
}

// recentIDs remembers the last ids that it was given.
type recentIDs struct {
	limit int
	known map[window.ID]struct{}
	// ring holds the known ids; next is the oldest once there are limit of them.
	ring []window.ID
	next int
}

func newRecentIDs(limit int) recentIDs {
	return recentIDs{limit: max(limit, 1), known: map[window.ID]struct{}{}}
}

// add reports whether the id is new.
func (r *recentIDs) add(id window.ID) bool {
	if _, ok := r.known[id]; ok {
		return false
	}
	r.known[id] = struct{}{}
	if len(r.ring) < r.limit {
		r.ring = append(r.ring, id)
		return true
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % len(r.ring)
	return true
}

// has reports whether the id is known.
func (r *recentIDs) has(id window.ID) bool {
	_, ok := r.known[id]
	return ok
}
