package groups

import (
	"errors"
	"slices"
	"sync"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// fakeLog is a log whose flushes and failures a test decides. What storage
// does about them is tested with the real one, in storage_test.go.
type fakeLog struct {
	mu        sync.Mutex
	data      [][]byte // batches
	ends      []int64  // end offset after each batch
	flushed   int64    // flushed end
	hold      bool     // flush only when release is called
	appendErr error
	waiting   map[int64][]func(error)
	appends   int
}

func newFakeLog() *fakeLog { return &fakeLog{waiting: map[int64][]func(error){}} }

func (l *fakeLog) Append(batches []byte, _ storage.AppendOptions) (storage.AppendResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.appendErr != nil {
		return storage.AppendResult{}, l.appendErr
	}
	l.appends++
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

func (l *fakeLog) AppendMarker(m storage.Marker) (storage.AppendResult, error) {
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

func (l *fakeLog) end() int64 {
	if len(l.ends) == 0 {
		return 0
	}
	return l.ends[len(l.ends)-1]
}

func (l *fakeLog) OnFlushed(offset int64, fn func(error)) {
	l.mu.Lock()
	if offset >= l.flushed {
		l.waiting[offset] = append(l.waiting[offset], fn)
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
	l.waiting = map[int64][]func(error){}
	if err == nil {
		l.flushed = l.end()
	}
	l.mu.Unlock()
	for _, fns := range waiting {
		for _, fn := range fns {
			fn(err)
		}
	}
}

func (l *fakeLog) set(change func(l *fakeLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *fakeLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appends
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

func (l *fakeLog) LeaderEpoch() int32 { return 0 }

func (l *fakeLog) Config() storage.LogConfig { return storage.DefaultLogConfig() }
