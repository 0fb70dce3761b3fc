package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// crashedLog returns a disk after a crash, with 40 batches of 5 records in
// several segments of which a checkpoint covers the first 20 batches, and the file and size of
// the last segment.
func crashedLog(t *testing.T, cfg LogConfig, durability Durability) (mem *vfs.Mem, clock *testClock, last *segment) {
	t.Helper()
	clock = newTestClock()
	mem = vfs.NewMem(clock.Now)
	scfg := testConfig(mem, clock)
	scfg.Durability = durability
	s := mustOpen(t, scfg)
	l := mustCreate(t, s, cfg)
	for i := range 40 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), fmt.Sprint("v", i), 5))
		if i == 19 {
			if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	out := mem.Crash(vfs.CrashDrop, nil)
	list := l.list()
	last = list[len(list)-1]
	mustClose(t, s)
	return out, clock, last
}

func overwrite(t *testing.T, mem *vfs.Mem, name string, at int64, b []byte) {
	t.Helper()
	f, err := mem.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func truncateFile(t *testing.T, mem *vfs.Mem, name string, size int64) {
	t.Helper()
	f, err := mem.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

func TestRecoveryOfDamage(t *testing.T) {
	big := DefaultLogConfig()
	small := smallConfig()
	for _, c := range []struct {
		name       string
		cfg        LogConfig
		durability Durability
		damage     func(t *testing.T, mem *vfs.Mem, last *segment)
		// end is the log end wanted; -1 for offline, -2 for offline or a read that fails.
		end int64
	}{
		{"none", big, DurabilityFsync, func(*testing.T, *vfs.Mem, *segment) {}, 200},
		{"last batch cut in half", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			truncateFile(t, m, s.path(suffixLog), s.size.Load()-20)
		}, 195},
		{"last batch with a flipped bit", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load()-5, []byte{0xff})
		}, 195},
		{"zeros behind", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load(), make([]byte, 5000))
		}, 200},
		{"a header only", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load(), make([]byte, 30))
		}, 200},
		{"an old batch again", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load(), makeBatch(t, batch.Options{BaseOffset: 3}, 0, "old", 2))
		}, 200},
		{"a batch behind a gap", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load(), makeBatch(t, batch.Options{BaseOffset: 203, LeaderEpoch: 5}, 0, "later", 2))
		}, 200},
		{"middle, valid batches follow", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load()*3/4, []byte{0xff, 0xfe})
		}, -1},
		{"middle with a broken length", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load()*3/4, make([]byte, 200))
		}, -1},
		{"below the recovery point: cut short", big, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			truncateFile(t, m, s.path(suffixLog), s.size.Load()/4)
		}, -1},
		{"segment before the last", small, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			names, err := m.ReadDir(s.dir)
			if err != nil {
				t.Fatal(err)
			}
			var logs []string
			for _, n := range names {
				if strings.HasSuffix(n.Name(), suffixLog) {
					logs = append(logs, n.Name())
				}
			}
			truncateFile(t, m, filepath.Join(s.dir, logs[len(logs)-2]), 300)
		}, -2},
		{"a whole segment is gone", small, DurabilityFsync, func(t *testing.T, m *vfs.Mem, s *segment) {
			if err := m.Remove(s.path(suffixLog)); err != nil {
				t.Fatal(err)
			}
			if err := m.Remove(filepath.Join("/data", fileRecoveryPoints)); err != nil {
				t.Fatal(err)
			}
		}, 0}, // 0: what is left, checked below
		{"os: middle is cut as Kafka does", big, DurabilityOS, func(t *testing.T, m *vfs.Mem, s *segment) {
			overwrite(t, m, s.path(suffixLog), s.size.Load()*3/4, make([]byte, 200))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem, clock, last := crashedLog(t, c.cfg, c.durability)
			c.damage(t, mem, last)
			cfg := testConfig(mem, clock)
			cfg.Durability = c.durability
			s := mustOpen(t, cfg)
			l, ok := s.Log(tp0)
			if !ok {
				t.Fatal("log is gone")
			}
			if c.end == -2 && l.Err() == nil {
				// The recovery point had passed: then reading finds out.
				if _, err := tryReadAll(l, 0, 300); !errors.As(err, new(*CorruptionError)) {
					t.Fatalf("read: %v", err)
				}
				mustClose(t, s)
				return
			}
			if c.end < 0 {
				checkOffline(t, l)
				mustCloseUnclean(t, s)
				s = mustOpen(t, cfg2(cfg)) // still offline, nothing was cut
				l, _ = s.Log(tp0)
				checkOffline(t, l)
				mustCloseUnclean(t, s)
				return
			}
			if l.Err() != nil || c.end > 0 && l.LogEnd() != c.end || l.LogEnd() < 100 {
				t.Fatalf("log end %d, want %d; %v", l.LogEnd(), c.end, l.Err())
			}
			if got := readAll(t, l, 0, 300); int64(len(got)) != l.LogEnd() {
				t.Fatalf("%d records of %d", len(got), l.LogEnd())
			}
			mustClose(t, s)
		})
	}
}

func checkOffline(t *testing.T, l *Log) {
	t.Helper()
	var damage *CorruptionError
	if !errors.Is(l.Err(), ErrOffline) || !errors.As(l.Err(), &damage) || damage.File == "" || damage.Offset < 0 {
		t.Fatalf("error is %v", l.Err())
	}
	if _, err := l.Read(0, 100, ReadOptions{MinOneBatch: true}); !errors.Is(err, ErrOffline) {
		t.Errorf("read: %v", err)
	}
	if _, err := l.Append(makeBatch(t, batch.Options{}, 0, "x", 1), AppendOptions{}); !errors.Is(err, ErrOffline) {
		t.Errorf("append: %v", err)
	}
}

// TestRecoveryReadsOnlyTheTail counts the bytes of .log files that opening reads.
func TestRecoveryReadsOnlyTheTail(t *testing.T) {
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 1<<20, 4096
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, cfg)
	add := func(n int) {
		for range n {
			mustAppend(t, l, makeBatch(t, batch.Options{Producer: nil}, clock.ms(), strings.Repeat("x", 1000), 2))
		}
		mustFlush(t, l, l.LogEnd()-1)
	}
	add(2500)
	if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
		t.Fatal(err)
	}
	add(20)
	crashed := mem.Crash(vfs.CrashDrop, nil)
	mustClose(t, s)
	for _, c := range []struct {
		name string
		disk *vfs.Mem
		most int64
	}{{"crash", crashed, 200 << 10}, {"clean", mem, 20 << 10}} {
		var mu sync.Mutex
		var bytes int64
		fsys := vfs.Observe(c.disk, vfs.Hooks{Before: func(op vfs.Op) error {
			if op.Kind == "read" && strings.HasSuffix(op.Name, suffixLog) {
				mu.Lock()
				bytes += op.Size
				mu.Unlock()
			}
			return nil
		}})
		s := mustOpen(t, testConfig(fsys, clock))
		l, _ := s.Log(tp0)
		if bytes > c.most || l.LogEnd() != 5040 {
			t.Errorf("%s: %d bytes were read, log end %d", c.name, bytes, l.LogEnd())
		}
		mustClose(t, s)
	}
}

func TestLostSmallFilesAreRebuilt(t *testing.T) {
	for _, lose := range []string{suffixIndex, suffixTimeIndex, suffixSnapshot, fileEpochs, fileRecoveryPoints, fileHighWatermarks} {
		for _, how := range []string{"removed", "damaged"} {
			mem, clock, _ := crashedLog(t, smallConfig(), DurabilityFsync)
			for _, dir := range []string{"/data", "/data/t-0"} {
				entries, err := mem.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					name := filepath.Join(dir, e.Name())
					if !strings.HasSuffix(name, lose) {
						continue
					}
					if how == "removed" {
						if err := mem.Remove(name); err != nil {
							t.Fatal(err)
						}
					} else {
						overwrite(t, mem, name, 0, []byte{0xff, 0xff, 0xff})
					}
				}
			}
			s := mustOpen(t, testConfig(mem, clock))
			l := mustCreate(t, s, smallConfig())
			if got := readAll(t, l, 0, 200); len(got) != 200 || l.EpochAt(0) != 0 || l.EpochAt(199) != 0 {
				t.Errorf("%s %s: %d records, epoch %d", lose, how, len(got), l.EpochAt(0))
			}
			if offset, ts, _, err := l.OffsetForTimestamp(clock.ms() + 4); err != nil || offset != 4 || ts != clock.ms()+4 {
				t.Errorf("%s %s: offset by timestamp %d %d %v", lose, how, offset, ts, err)
			}
			mustClose(t, s)
		}
	}
}

func TestFormatVersionAndNames(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	cfg := testConfig(mem, clock)
	s := mustOpen(t, cfg)
	mustCreate(t, s, DefaultLogConfig())
	if _, err := s.CreateLog(tp0, [16]byte{2}, DefaultLogConfig(), 0); !errors.Is(err, ErrTopicID) {
		t.Errorf("another topic id: %v", err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "../x", "ä", strings.Repeat("x", 250)} {
		if _, err := s.CreateLog(TopicPartition{Topic: bad}, [16]byte{1}, DefaultLogConfig(), 0); err == nil {
			t.Errorf("topic name %q was taken", bad)
		}
	}
	mustClose(t, s)
	if _, err := mem.Stat("/data/" + fileCleanShutdown); err != nil {
		t.Error(err)
	}
	overwrite(t, mem, "/data/"+fileFormat, 0, []byte("2\n"))
	if _, err := Open(cfg); !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("newer format: %v", err)
	}
}

func TestDeleteLog(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	cfg := testConfig(mem, clock)
	cfg.TailBytesMax = 1 << 20
	s := mustOpen(t, cfg)
	l := mustCreate(t, s, smallConfig())
	l.tail.follow(clock.ms())
	fill(t, l, clock, 30, func(int) int64 { return clock.ms() })
	if _, err := l.DeleteRecords(50); err != nil {
		t.Fatal(err)
	}
	signal := NewSignal()
	l.AddWaiter(signal)
	if err := s.DeleteLog(tp0); err != nil {
		t.Fatal(err)
	}
	<-signal
	if _, ok := s.Log(tp0); ok || !errors.Is(l.Err(), ErrDeleted) {
		t.Fatalf("deleted log is there: %v", l.Err())
	}
	if _, err := l.Read(60, 100, ReadOptions{}); !errors.Is(err, ErrDeleted) {
		t.Fatalf("read: %v", err)
	}
	crashed := mem.Crash(vfs.CrashDrop, nil)
	again := mustCreate(t, s, smallConfig())
	if again.LogStart() != 0 || again.LogEnd() != 0 {
		t.Fatalf("new log is %d to %d", again.LogStart(), again.LogEnd())
	}
	mustClose(t, s)
	s = mustOpen(t, testConfig(crashed, clock))
	if len(s.Logs()) != 0 {
		t.Fatal("deleted log is back after a crash")
	}
	entries, err := crashed.ReadDir("/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
	mustClose(t, s)
}

// TestBitRotIsNotServed damages a batch in the middle of a closed segment:
// what comes before it is read, it itself and the log's answers about it are errors.
func TestBitRotIsNotServed(t *testing.T) {
	mem, clock, _ := crashedLog(t, smallConfig(), DurabilityFsync)
	s := mustOpen(t, testConfig(mem, clock))
	l, _ := s.Log(tp0)
	first := l.list()[0]
	overwrite(t, mem, first.path(suffixLog), first.size.Load()/2, []byte("rot"))
	records, err := tryReadAll(l, 0, 1<<20)
	damage, ok := errors.AsType[*CorruptionError](err)
	if !ok || damage.File != first.path(suffixLog) || int64(len(records)) != damage.Offset || len(records) == 0 {
		t.Fatalf("%d records, then %v", len(records), err)
	}
	next := l.list()[1].base
	if got := readAll(t, l, next, 1<<20); int64(len(got)) != l.LogEnd()-next {
		t.Fatalf("%d records after the damaged segment", len(got))
	}
	mustClose(t, s)
}
