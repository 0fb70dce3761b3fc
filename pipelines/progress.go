package pipelines

import "sync"

// ticket stands for one bulk request; it is settled when every document in it
// is acknowledged or dead-lettered.
type ticket struct{ number int64 }

// progress is how far a partition is done: the offset that may be committed.
// Records are noted in their order; requests complete in any.
//
// Invariant: mark is called with growing offsets, each one past a record that
// is done and has nothing before it that is not.
type progress struct {
	mu sync.Mutex
	// mark commits; it is not called after close.
	mark    func(next int64)
	pending []span
	closed  bool
	// idle is closed when a waiting drain finds nothing pending.
	idle chan struct{}
}

// span is a run of records whose documents are in one request, with the
// dropped records after them.
type span struct {
	// ticket is nil when the request is settled.
	ticket *ticket
	last   int64
}

func newProgress(mark func(next int64)) *progress { return &progress{mark: mark} }

// note says that the record's document is in the request. It reports whether
// the request is new to this partition, so that settle must be called when it
// is done.
func (p *progress) note(t *ticket, offset int64) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.pending); n > 0 && p.pending[n-1].ticket == t {
		p.pending[n-1].last = offset
		return false
	}
	p.pending = append(p.pending, span{t, offset})
	return true
}

// skip says that the record has no document.
func (p *progress) skip(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.pending); n > 0 {
		p.pending[n-1].last = offset
		return
	}
	if !p.closed {
		p.mark(offset + 1)
	}
}

// settle marks the request as done and moves the offset as far as that allows.
func (p *progress) settle(t *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.pending {
		if p.pending[i].ticket == t {
			p.pending[i].ticket = nil
		}
	}
	n := 0
	for n < len(p.pending) && p.pending[n].ticket == nil {
		n++
	}
	if n == 0 {
		return
	}
	if !p.closed {
		p.mark(p.pending[n-1].last + 1)
	}
	p.pending = append(p.pending[:0], p.pending[n:]...)
	if len(p.pending) == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// drained returns a channel that is closed when nothing is pending any more.
func (p *progress) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := make(chan struct{})
	if len(p.pending) == 0 {
		close(done)
		return done
	}
	p.idle = done
	return done
}

// close ends the marking: the partition may belong to another from now on.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}
