package storage

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// hostileFiles are all files that a start reads, but for the last log, which
// FuzzRecovery is about.
var hostileFiles = []string{
	"t-0/00000000000000000000.log", "t-0/00000000000000000000.index", "t-0/00000000000000000000.timeindex", "t-0/00000000000000000000.txnindex",
	"t-0/00000000000000000042.index", "t-0/00000000000000000042.timeindex", "t-0/00000000000000000042.txnindex",
	"t-0/00000000000000000042.snapshot", "t-0/00000000000000000060.snapshot", "t-0/leader-epoch-checkpoint", "t-0/partition.metadata",
	fileRecoveryPoints, fileLogStarts, fileHighWatermarks, fileCleanerOffsets, fileCleanShutdown, fileFormat,
}

// hostileDisk is a data directory with two segments, the second one from offset 42
// on, an aborted transaction in each, and batches beyond the recovery point 60.
func hostileDisk(t testing.TB, clock *testClock) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 0
	l := mustCreate(t, s, cfg)
	for l.LogEnd() < 70 {
		switch end := l.LogEnd(); end {
		case 10, 50:
			mustVerified(t, l, transactional(t, 6, int16(end), 0, 1))
			mustMark(t, l, Marker{ProducerID: 6, ProducerEpoch: int16(end)})
			continue
		case 42:
			rollNow(t, l)
		case 60:
			if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
				t.Fatal(err)
			}
		}
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 1))
	}
	mustFlush(t, l, 69)
	disk := mem.Crash(vfs.CrashDrop, nil)
	mustClose(t, s)
	return disk
}

// FuzzStart opens a data directory of which one file holds anything. It is refused, or a
// log is offline, each with the file's name; or what is served are the right records.
func FuzzStart(f *testing.F) {
	clock := newTestClock()
	good := hostileDisk(f, clock)
	for i, name := range hostileFiles {
		content, err := vfs.ReadFile(good, "/data/"+name)
		if err != nil && name != fileCleanShutdown {
			f.Fatal(err)
		}
		f.Add(uint8(i), content)
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte("0\n1\nt 0 9223372036854775807\n"))
		f.Add(uint8(i), append([]byte{0, 0, 0, 13, 0, 0, 0, 13}, content...))
		if len(content) > 20 {
			f.Add(uint8(i), content[:len(content)-3])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		name := hostileFiles[int(which)%len(hostileFiles)]
		disk := good.Crash(vfs.CrashProcess, nil)
		if err := vfs.WriteFile(disk, "/data/"+name, content); err != nil {
			t.Fatal(err)
		}
		s, err := Open(testConfig(disk, clock))
		if err != nil {
			if damage, ok := errors.AsType[*CorruptionError](err); !errors.Is(err, ErrNewerFormat) && (!ok || !strings.HasSuffix(damage.File, name)) {
				t.Fatalf("%s: %v", name, err)
			}
			return
		}
		defer mustClose(t, s)
		l, ok := s.Log(tp0)
		if !ok {
			t.Fatal("the log is not there")
		}
		if err := l.Err(); err != nil {
			if damage, ok := errors.AsType[*CorruptionError](err); !ok || !strings.HasPrefix(damage.File, "/data/t-0") {
				t.Fatalf("%s: the log is offline without a file: %v", name, err)
			}
			return
		}
		checkServed(t, l)
		_, _, _, err = l.OffsetForTimestamp(clock.ms())
		if err != nil && !errors.As(err, new(*CorruptionError)) {
			t.Fatalf("offset by time: %v", err)
		}
		if _, err := l.Append(makeBatch(t, batch.Options{}, clock.ms(), "more", 1), AppendOptions{LeaderEpoch: l.LeaderEpoch()}); err != nil {
			t.Fatalf("append: %v", err)
		}
	})
}

// checkServed reads from every offset: what comes is intact and begins with the batch
// that holds the offset, or it is an error that names the damage.
func checkServed(t *testing.T, l *Log) {
	t.Helper()
	for offset := l.LogStart(); offset < l.HighWatermark(); offset++ {
		res, err := l.Read(offset, 1, ReadOptions{MinOneBatch: true, Isolation: Isolation(offset % 2)})
		if err != nil {
			if !errors.As(err, new(*CorruptionError)) {
				t.Fatalf("read at %d: %v", offset, err)
			}
			continue
		}
		if len(res.Data) == 0 {
			continue // an undecided transaction, or a gap
		}
		b, err := batch.Parse(res.Data)
		if err != nil || b.CheckCRC() != nil || b.LastOffset() < offset {
			t.Fatalf("read at %d gave batch %d to %d: %v", offset, b.BaseOffset, b.LastOffset(), err)
		}
		res.Release()
	}
}
