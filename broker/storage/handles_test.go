package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func (c *handleCache) openCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ring)
}

func makeLogs(t testing.TB, s *Store, n int) []*Log {
	t.Helper()
	logs := make([]*Log, n)
	for i := range logs {
		l, err := s.CreateLog(TopicPartition{Topic: "many", Partition: int32(i)}, [16]byte{1}, smallConfig(), 0)
		if err != nil {
			t.Fatal(err)
		}
		logs[i] = l
	}
	return logs
}

// Many more logs are written than files may be open: what was confirmed is on
// disk although its file was closed in between.
func TestMoreLogsAreWrittenThanFilesMayBeOpen(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	cfg := testConfig(mem, clock)
	cfg.OpenFilesMax = 3
	s := mustOpen(t, cfg)
	const logsMany, writers, rounds = 20, 4, 15
	logs := makeLogs(t, s, logsMany)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				for i := range logs {
					l := logs[(i+w*5)%logsMany]
					b, err := batch.Build(batch.Options{}, []batch.Record{{Timestamp: clock.ms(), Value: fmt.Appendf(nil, "%d-%d", w, r)}})
					if err != nil {
						t.Error(err)
						return
					}
					res, err := l.Append(b, AppendOptions{})
					if err == nil {
						err = l.WaitFlushed(t.Context(), res.LastOffset)
					}
					if err == nil {
						_, err = tryReadAll(l, res.BaseOffset, 100)
					}
					if err != nil {
						t.Errorf("%s: %v", l.ID(), err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if n := s.handles.openCount(); n > cfg.OpenFilesMax {
		t.Errorf("%d files are open, %d may be", n, cfg.OpenFilesMax)
	}
	crashed := testConfig(mem.Crash(vfs.CrashDrop, rand.New(rand.NewPCG(1, 2))), clock)
	mustClose(t, s)
	if n := s.handles.openCount(); n != 0 {
		t.Errorf("%d files are open after the end", n)
	}
	s = mustOpen(t, crashed)
	defer mustClose(t, s)
	for _, l := range s.Logs() {
		if got := readAll(t, l, 0, 1000); len(got) != writers*rounds {
			t.Errorf("%s: %d records of %d confirmed ones", l.ID(), len(got), writers*rounds)
		}
	}
}

// A file is closed to make room, and cannot be forced to disk: nobody is told
// that what was in it is durable.
func TestAFailedSyncBeforeClosingIsReported(t *testing.T) {
	clock := newTestClock()
	var broken sync.Map
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{Before: func(op vfs.Op) error {
		if _, ok := broken.Load(op.Name); ok && op.Kind == "sync" {
			return syscall.EIO
		}
		return nil
	}})
	cfg := testConfig(fsys, clock)
	cfg.OpenFilesMax = 1
	s := mustOpen(t, cfg)
	logs := makeLogs(t, s, 2)
	close(s.stop) // no group commit: the eviction comes first
	s.background.Wait()
	s.stop = make(chan struct{})
	broken.Store(logs[0].list()[0].path(suffixLog), true)
	res := mustAppend(t, logs[0], makeBatch(t, batch.Options{}, clock.ms(), "lost", 1))
	mustAppend(t, logs[1], makeBatch(t, batch.Options{}, clock.ms(), "kept", 1))
	if h := logs[0].list()[0].handle.Load(); h != nil {
		t.Fatal("the first log's file is still open")
	}
	broken.Clear() // as the kernel: the failure is reported once
	s.flushRound(logs)
	if err := logs[0].WaitFlushed(t.Context(), res.LastOffset); !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
		t.Errorf("the first log's flush: %v", err)
	}
	if err := logs[1].WaitFlushed(t.Context(), 0); err != nil {
		t.Errorf("the second log's flush: %v", err)
	}
	mustCloseUnclean(t, s)
}

// Without descriptors others are closed, and where that does not help the
// append is refused and the log stays online.
func TestWantOfDescriptors(t *testing.T) {
	clock := newTestClock()
	refusals := 0
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{Before: func(op vfs.Op) error {
		if refusals > 0 && strings.HasPrefix(op.Kind, "open") && strings.HasSuffix(op.Name, suffixLog) {
			refusals--
			return syscall.EMFILE
		}
		return nil
	}})
	cfg := testConfig(fsys, clock)
	cfg.Durability = DurabilityOS
	cfg.OpenFilesMax = 4
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	logs := makeLogs(t, s, 8)
	b := makeBatch(t, batch.Options{}, clock.ms(), "a", 1)
	refusals = 1
	mustAppend(t, logs[0], b)
	if n := s.handles.openCount(); n > 3 {
		t.Errorf("%d files are open after a want of descriptors", n)
	}
	refusals = 2
	if _, err := logs[1].Append(b, AppendOptions{}); !errors.Is(err, ErrNoDescriptors) {
		t.Errorf("append without descriptors: %v", err)
	}
	mustAppend(t, logs[1], b)
}
