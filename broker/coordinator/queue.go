package coordinator

import "github.com/twmb/franz-go/pkg/kerr"

// Submit queues an operation of a client. Where that is not possible, ok is false
// and code says why.
func (sh *Shard[Op]) Submit(o Op) (code int16, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case sh.stopping:
		return kerr.NotCoordinator.Code, false
	case sh.status == failed:
		return kerr.CoordinatorNotAvailable.Code, false
	case sh.status == loading:
		return kerr.CoordinatorLoadInProgress.Code, false
	case sh.waiting >= operationsQueuedMax:
		sh.options.Metrics.refused.Inc()
		return kerr.CoordinatorLoadInProgress.Code, false
	}
	sh.waiting++
	sh.push(queued[Op]{op: o})
	return 0, true
}

// Control queues an operation of this node, loaded or not; there are few of them.
func (sh *Shard[Op]) Control(o Op) { sh.After(0, o) }

// After queues what followed from something in a life ([Shard.Life]); in another
// one it is dropped. At most one is under way for each transaction, group or flush.
func (sh *Shard[Op]) After(life int, o Op) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.stopping {
		sh.push(queued[Op]{op: o, life: life})
	}
}

// fail says that records of a life will never be durable.
func (sh *Shard[Op]) fail(life int, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.failure = failure{life, err}
	sh.signal()
}

// Ended is closed when the shard's goroutine has ended.
func (sh *Shard[Op]) Ended() <-chan struct{} { return sh.ended }

func (sh *Shard[Op]) loaded() <-chan struct{} { return sh.loadedOnce }

func (sh *Shard[Op]) stop() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stopping = true
	sh.signal()
}

func (sh *Shard[Op]) isStopping() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.stopping
}

func (sh *Shard[Op]) setStatus(to status) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.status = to
}

func (sh *Shard[Op]) push(q queued[Op]) {
	sh.queue = append(sh.queue, q)
	sh.signal()
}

func (sh *Shard[Op]) signal() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

func (sh *Shard[Op]) take() (ops []queued[Op], stopping bool, lost failure) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ops, sh.queue, sh.waiting = sh.queue, nil, 0
	return ops, sh.stopping, sh.failure
}
