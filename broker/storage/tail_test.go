package storage

import (
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestTailIsKeptWhileFollowed: the newest batches are copied into memory only for
// a reader who is there to read them, and given up when it is gone.
func TestTailIsKeptWhileFollowed(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.TailBytesMax = 1 << 20
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	end := int64(0)
	appendOne := func() {
		t.Helper()
		end = mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 3)).LastOffset + 1
		mustFlush(t, l, end-1)
	}
	held := func() bool { return len(l.tail.list()) > 0 }
	read := func(from int64, inMemory bool) {
		t.Helper()
		if _, hit := l.tail.read(from, end, 1<<20, true); hit != inMemory {
			t.Fatalf("from %d: in memory %v", from, hit)
		}
		if got := readAll(t, l, from, 1<<20); len(got) != int(end-from) || len(got) == 0 {
			t.Fatalf("from %d: %d records of %d", from, len(got), end-from)
		}
	}

	appendOne()
	if held() {
		t.Fatal("a tail that nobody follows")
	}
	signal := NewSignal()
	l.AddWaiter(signal)
	l.RemoveWaiter(signal)
	appendOne()
	if !held() {
		t.Fatal("no tail for the reader that waited")
	}
	read(3, true)
	read(0, false) // what was there before

	// Reading at the end or in the tail keeps it.
	for range 3 {
		clock.advance(tailFollowedMs * time.Millisecond * 2 / 3)
		read(3, true)
		appendOne()
	}
	clock.advance(tailFollowedMs * time.Millisecond)
	appendOne()
	if held() || s.tails.bytes != 0 {
		t.Fatalf("%d bytes of a tail that nobody follows any more", s.tails.bytes)
	}
	read(3, false)
	if res, err := l.Read(end, 1<<20, ReadOptions{}); err != nil || len(res.Data) > 0 {
		t.Fatalf("read at the end: %v, %d bytes", err, len(res.Data))
	}
	appendOne()
	read(end-3, true)
}
