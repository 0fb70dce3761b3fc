package transactions

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// fakeLog is a log whose flushes and failures a test decides.
type fakeLog struct {
	mu        sync.Mutex
	data      [][]byte // batches
	ends      []int64  // end offset after each batch
	flushed   int64    // flushed end
	hold      bool     // flush only when release is called
	appendErr error
	waiting   []flushWait
}

type flushWait struct {
	offset int64
	fn     func(error)
}

// clone is what is left of the log after kill -9 and its first n batches.
func (l *fakeLog) clone(n int) *fakeLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &fakeLog{data: slices.Clone(l.data[:n]), ends: slices.Clone(l.ends[:n])}
	c.flushed = c.end()
	return c
}

func (l *fakeLog) batches() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.data)
}

func (l *fakeLog) Append(batches []byte, _ storage.AppendOptions) (storage.AppendResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.appendErr != nil {
		return storage.AppendResult{}, l.appendErr
	}
	base := l.end()
	for b, err := range batch.All(slices.Clone(batches)) {
		if err != nil {
			return storage.AppendResult{}, err
		}
		batch.SetOffset(b.Raw, l.end(), 0)
		l.ends = append(l.ends, l.end()+int64(b.Count))
		l.data = append(l.data, b.Raw)
	}
	if !l.hold {
		l.flushed = l.end()
	}
	return storage.AppendResult{BaseOffset: base, LastOffset: l.end() - 1}, nil
}

func (l *fakeLog) end() int64 {
	if len(l.ends) == 0 {
		return 0
	}
	return l.ends[len(l.ends)-1]
}

func (l *fakeLog) OnFlushed(offset int64, fn func(error)) {
	l.mu.Lock()
	if offset >= l.flushed {
		l.waiting = append(l.waiting, flushWait{offset, fn})
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	fn(nil)
}

// release ends the flush that is held: err nil makes all durable.
func (l *fakeLog) release(err error) {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting = nil
	if err == nil {
		l.flushed = l.end()
	}
	l.mu.Unlock()
	for _, w := range waiting {
		w.fn(err)
	}
}

func (l *fakeLog) set(change func(l *fakeLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *fakeLog) Read(startOffset int64, _ int, _ storage.ReadOptions) (storage.ReadResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, end := range l.ends {
		if startOffset < end {
			return storage.ReadResult{Data: l.data[i], NextOffset: end}, nil
		}
	}
	return storage.ReadResult{}, errors.New("read at the log end")
}

func (l *fakeLog) LogStart() int64 { return 0 }

func (l *fakeLog) LogEnd() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end()
}

func (l *fakeLog) LeaderEpoch() int32 { return 3 }

func (l *fakeLog) Config() storage.LogConfig { return storage.DefaultLogConfig() }

// batchOf is a batch of one record that nobody knows.
func batchOf(t *testing.T) []byte {
	t.Helper()
	raw, err := batch.Build(batch.Options{}, []batch.Record{{Key: []byte{0, 9}, Value: []byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
