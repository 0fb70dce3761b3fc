package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func smallConfig() LogConfig {
	cfg := DefaultLogConfig()
	cfg.SegmentBytes = 2000
	cfg.IndexIntervalBytes = 200
	return cfg
}

func TestAppendReadReopen(t *testing.T) {
	for _, tail := range []int64{-1, 64 << 10} {
		for _, max := range []int{1, 100, 500, 1 << 20} {
			t.Run(fmt.Sprintf("tail %d max %d", tail, max), func(t *testing.T) {
				clock := newTestClock()
				cfg := testConfig(vfs.NewMem(clock.Now), clock)
				cfg.TailBytesMax = tail
				s := mustOpen(t, cfg)
				l := mustCreate(t, s, smallConfig())
				l.tail.follow(clock.ms())
				for i := range 50 {
					res := mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), fmt.Sprint("v", i), 3))
					if want := int64(3 * i); res.BaseOffset != want || res.LastOffset != want+2 {
						t.Fatalf("append %d: %+v", i, res)
					}
				}
				mustFlush(t, l, 149)
				check := func(l *Log) {
					t.Helper()
					for _, from := range []int64{0, 1, 77, 149, 150} {
						got := readAll(t, l, from, max)
						if len(got) != int(150-from) {
							t.Fatalf("from %d: %d records", from, len(got))
						}
						for i, r := range got {
							n := int(from) + i
							if r.Offset != int64(n) || string(r.Value) != fmt.Sprintf("v%d-%d", n/3, n%3) {
								t.Fatalf("record %d: offset %d value %q", n, r.Offset, r.Value)
							}
						}
					}
				}
				check(l)
				if len(l.list()) < 3 {
					t.Fatalf("only %d segments", len(l.list()))
				}
				for range 2 {
					mustClose(t, s)
					s = mustOpen(t, cfg)
					l = mustCreate(t, s, smallConfig())
					check(l)
				}
				if got := mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "new", 1)).BaseOffset; got != 150 {
					t.Fatalf("append after reopen at %d", got)
				}
				mustClose(t, s)
			})
		}
	}
}

func TestReadErrorsAndBounds(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	l := mustCreate(t, s, smallConfig())
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 5))
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "b", 5))
	mustFlush(t, l, 9)
	for _, offset := range []int64{-1, 11} {
		if res, err := l.Read(offset, 100, ReadOptions{}); !errors.Is(err, ErrOffsetOutOfRange) || res.HighWatermark != 10 {
			t.Errorf("read at %d: %v, %+v", offset, err, res)
		}
	}
	if res, err := l.Read(0, 10, ReadOptions{}); err != nil || len(res.Data) != 0 || res.NextOffset != 0 {
		t.Errorf("a batch larger than the limit came without MinOneBatch: %v, %+v", err, res)
	}
	if res, err := l.Read(0, 1<<20, ReadOptions{MaxOffset: 5}); err != nil || res.NextOffset != 5 {
		t.Errorf("MaxOffset 5: %v, next %d", err, res.NextOffset)
	}
	if res, err := l.Read(7, 1<<20, ReadOptions{}); err != nil || res.NextOffset != 10 {
		t.Errorf("from the middle of a batch: %v, %+v", err, res)
	} else if h, err := batch.ParseHeader(res.Data); err != nil || h.BaseOffset != 5 {
		t.Errorf("the whole batch that holds 7 begins at 5, got %+v, %v", h, err)
	}
}

func TestHighWatermarkHidesWhatIsNotFlushed(t *testing.T) {
	clock := newTestClock()
	hold := make(chan struct{})
	held := make(chan struct{}, 100)
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{Before: func(op vfs.Op) error {
		if op.Kind == "sync" && filepath.Ext(op.Name) == suffixLog {
			held <- struct{}{}
			<-hold
		}
		return nil
	}})
	cfg := testConfig(fsys, clock)
	cfg.TailBytesMax = 1 << 20
	s := mustOpen(t, cfg)
	l := mustCreate(t, s, DefaultLogConfig())
	signal := NewSignal()
	l.AddWaiter(signal)
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 5))
	<-held
	if res, err := l.Read(0, 100, ReadOptions{MinOneBatch: true}); err != nil || len(res.Data) != 0 || l.LogEnd() != 5 || l.HighWatermark() != 0 || l.FlushedEnd() != 0 {
		t.Fatalf("read before the flush: %v, %+v, end %d", err, res, l.LogEnd())
	}
	close(hold)
	<-signal
	if l.HighWatermark() != 5 || l.FlushedEnd() != 5 {
		t.Fatalf("high watermark %d, flushed end %d", l.HighWatermark(), l.FlushedEnd())
	}
	l.RemoveWaiter(signal)
	mustClose(t, s)
	if err := l.WaitFlushed(t.Context(), 5); !errors.Is(err, ErrClosed) {
		t.Fatalf("wait after close: %v", err)
	}
	if _, err := l.Append(makeBatch(t, batch.Options{}, clock.ms(), "a", 1), AppendOptions{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
}

func TestRealFileSystem(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(nil, clock)
	cfg.Dir = t.TempDir()
	cfg.OpenFilesMax = 2
	s := mustOpen(t, cfg)
	if _, err := Open(cfg2(cfg)); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	l := mustCreate(t, s, smallConfig())
	for i := range 100 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), fmt.Sprint(i), 2))
	}
	mustFlush(t, l, 199)
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, l, 0, 400); len(got) != 200 {
		t.Fatalf("%d records", len(got))
	}
	s.handles.mu.Lock()
	n := len(s.handles.ring)
	s.handles.mu.Unlock()
	if n > 2 {
		t.Fatalf("%d files are open", n)
	}
	mustClose(t, s)
	s = mustOpen(t, cfg)
	l, ok := s.Log(tp0)
	if !ok || len(readAll(t, l, 0, 4000)) != 200 || l.TopicID() != [16]byte{1} {
		t.Fatal("log is not as it was")
	}
	mustClose(t, s)
}

func cfg2(c Config) Config { c.Registerer = nil; return c }

func TestRollByAge(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.SegmentMs = 1000
	l := mustCreate(t, s, cfg)
	for range 4 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
		clock.advance(600 * time.Millisecond)
	}
	if n := len(l.list()); n != 2 {
		t.Fatalf("%d segments", n)
	}
}
