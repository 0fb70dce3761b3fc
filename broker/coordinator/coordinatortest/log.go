// Package coordinatortest has the log that tests of coordinators write to: its
// flushes and failures are decided by the test. What storage does about them is tested with the
// real one.
package coordinatortest

import (
	"errors"
	"slices"
	"sync"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// Log is a partition in memory. The zero value is empty and flushes at once. What is
// exported is changed with [Log.Set] once the log is in use.
type Log struct {
	// Hold flushes only when Release is called.
	Hold bool
	// AppendErr is what Append returns, when it is not nil.
	AppendErr error
	// Epoch is the leader epoch.
	Epoch int32
	// Batches as they were appended, and the log end after each.
	Batches [][]byte
	Ends    []int64
	// Flushed is the end of what is durable.
	Flushed int64

	mu      sync.Mutex
	waiting []wait
	appends int
}

type wait struct {
	offset int64
	fn     func(error)
}

// Set changes the log under its lock.
func (l *Log) Set(change func(l *Log)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// Clone is what is left of the log after kill -9 and its first n batches.
func (l *Log) Clone(n int) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Log{Epoch: l.Epoch, Batches: slices.Clone(l.Batches[:n]), Ends: slices.Clone(l.Ends[:n])}
	c.Flushed = c.end()
	return c
}

// Count returns the number of batches.
func (l *Log) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.Batches)
}

// Appends returns how often something was appended.
func (l *Log) Appends() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appends
}

// Release ends the flush that is held: err nil makes all durable.
func (l *Log) Release(err error) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	if err == nil {
		l.Flushed = l.end()
	}
	l.mu.Unlock()
	for _, w := range waiting {
		w.fn(err)
	}
}

// Append implements coordinator.Log.
func (l *Log) Append(batches []byte, _ storage.AppendOptions) (storage.AppendResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.AppendErr != nil {
		return storage.AppendResult{}, l.AppendErr
	}
	l.appends++
	base := l.end()
	for b, err := range batch.All(slices.Clone(batches)) {
		if err != nil {
			return storage.AppendResult{}, err
		}
		batch.SetOffset(b.Raw, l.end(), 0)
		l.Ends = append(l.Ends, l.end()+int64(b.Count))
		l.Batches = append(l.Batches, b.Raw)
	}
	if !l.Hold {
		l.Flushed = l.end()
	}
	return storage.AppendResult{BaseOffset: base, LastOffset: l.end() - 1}, nil
}

// AppendMarker appends the marker of a transaction.
func (l *Log) AppendMarker(m storage.Marker) (storage.AppendResult, error) {
	kind := byte(0)
	if m.Commit {
		kind = 1
	}
	raw, err := batch.Build(batch.Options{
		Producer: &batch.Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch, Sequence: -1}, Transactional: true, Control: true,
	}, []batch.Record{{Key: []byte{0, 0, 0, kind}, Value: make([]byte, 6)}})
	if err != nil {
		return storage.AppendResult{}, err
	}
	return l.Append(raw, storage.AppendOptions{Origin: storage.OriginCoordinator})
}

func (l *Log) end() int64 {
	if len(l.Ends) == 0 {
		return 0
	}
	return l.Ends[len(l.Ends)-1]
}

// OnFlushed implements coordinator.Log.
func (l *Log) OnFlushed(offset int64, fn func(error)) {
	l.mu.Lock()
	if offset >= l.Flushed {
		l.waiting = append(l.waiting, wait{offset, fn})
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	fn(nil)
}

// Read implements coordinator.Log; it returns one batch at a time.
func (l *Log) Read(startOffset int64, _ int, _ storage.ReadOptions) (storage.ReadResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, end := range l.Ends {
		if startOffset < end {
			return storage.ReadResult{Data: l.Batches[i], NextOffset: end}, nil
		}
	}
	return storage.ReadResult{}, errors.New("read at the log end")
}

// LogStart implements coordinator.Log.
func (l *Log) LogStart() int64 { return 0 }

// LogEnd implements coordinator.Log.
func (l *Log) LogEnd() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end()
}

// LeaderEpoch implements coordinator.Log.
func (l *Log) LeaderEpoch() int32 { return l.Epoch }

// Config implements coordinator.Log.
func (l *Log) Config() storage.LogConfig { return storage.DefaultLogConfig() }
