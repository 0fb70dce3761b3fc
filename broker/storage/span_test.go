package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// spanLog is a log of real files with batches of many sizes, in several segments.
func spanLog(t *testing.T) (Config, *Store, *Log) {
	t.Helper()
	cfg := testConfig(vfs.OS(), newTestClock())
	cfg.Dir, cfg.Durability = t.TempDir(), DurabilityOS
	s := mustOpen(t, cfg)
	lc := DefaultLogConfig()
	lc.SegmentBytes = 600 << 10
	l := mustCreate(t, s, lc)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		size := 1 + random.IntN(400)
		if i%50 == 0 {
			size = 90 << 10
		}
		mustAppend(t, l, makeBatch(t, batch.Options{}, 1, strings.Repeat("v", size), 1+random.IntN(40)%max(1, 4000/size+1)))
	}
	return cfg, s, l
}

// inFile reads the batches of a span as a client would get them.
func inFile(t *testing.T, l *Log, start int64, bytesMax int) (data []byte, next int64, ok bool) {
	t.Helper()
	res, ok := l.ReadInFile(start, bytesMax, ReadOptions{Isolation: ReadCommitted})
	if !ok {
		return nil, 0, false
	}
	defer res.Release()
	data = make([]byte, res.Size())
	if err := readFull(res.File.File, data, res.File.At); err != nil {
		t.Fatal(err)
	}
	return data, res.NextOffset, true
}

func TestASpanHoldsWhatAReadReturns(t *testing.T) {
	cfg, s, l := spanLog(t)
	check := func(l *Log) (spans int) {
		for start := int64(0); start < l.LogEnd(); start += 7 {
			for _, bytesMax := range []int{spanBytesMin, 100 << 10, 1 << 20} {
				data, next, ok := inFile(t, l, start, bytesMax)
				if !ok {
					continue
				}
				spans++
				want, err := l.Read(start, len(data), ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(data, want.Data) || next != want.NextOffset || len(data) > bytesMax || len(data) < spanBytesMin {
					t.Fatalf("from %d, at most %d bytes: a span of %d bytes up to %d, a read of %d bytes up to %d", start, bytesMax, len(data), next, len(want.Data), want.NextOffset)
				}
				want.Release()
			}
		}
		return spans
	}
	if n := check(l); n < 100 {
		t.Fatalf("%d spans", n)
	}
	if n := s.pinned.Load(); n != 0 {
		t.Fatalf("%d files are pinned", n)
	}
	mustClose(t, s)

	// Another process knows nothing of the checksums until it has read.
	s = mustOpen(t, cfg)
	defer mustClose(t, s)
	l, _ = s.Log(tp0)
	if _, _, ok := inFile(t, l, 0, 1<<20); ok {
		t.Fatal("a span of batches that were not checked")
	}
	for start := int64(0); start < l.LogEnd(); {
		res, err := l.Read(start, 1<<20, ReadOptions{MinOneBatch: true})
		if err != nil {
			t.Fatal(err)
		}
		start = res.NextOffset
		res.Release()
	}
	if n := check(l); n < 100 {
		t.Fatalf("%d spans after reading", n)
	}
}

func TestASpanEndsAtTheHighWatermark(t *testing.T) {
	_, s, l := spanLog(t)
	defer mustClose(t, s)
	for limit := int64(1); limit < l.LogEnd(); limit += 13 {
		res, ok := l.ReadInFile(0, 8<<20, ReadOptions{MaxOffset: limit})
		if !ok {
			continue
		}
		last := int64(-1)
		data := make([]byte, res.Size())
		if err := readFull(res.File.File, data, res.File.At); err != nil {
			t.Fatal(err)
		}
		res.Release()
		for b, err := range batch.All(data) {
			if err != nil {
				t.Fatal(err)
			}
			last = b.BaseOffset
		}
		if last >= limit {
			t.Fatalf("a batch at %d in a span that ends before %d", last, limit)
		}
	}
}

func TestASpanSurvivesTheEndOfItsSegment(t *testing.T) {
	_, s, l := spanLog(t)
	defer mustClose(t, s)
	res, ok := l.ReadInFile(0, 1<<20, ReadOptions{})
	if !ok {
		t.Fatal("no span")
	}
	want := make([]byte, res.Size())
	if err := readFull(res.File.File, want, res.File.At); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteLog(tp0); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := inFile(t, l, 0, 1<<20); ok {
		t.Fatal("a span of a log that is deleted")
	}
	got := make([]byte, res.Size())
	if err := readFull(res.File.File, got, res.File.At); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the bytes are others: %v", err)
	}
	res.Release()
	if n := s.pinned.Load(); n != 0 {
		t.Fatalf("%d files are pinned", n)
	}
}

func TestSlowReadersPinHalfOfTheOpenFilesAtMost(t *testing.T) {
	cfg := testConfig(vfs.OS(), newTestClock())
	cfg.Dir, cfg.Durability, cfg.OpenFilesMax = t.TempDir(), DurabilityOS, 8
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	var held []ReadResult
	for i := range 8 {
		l, err := s.CreateLog(TopicPartition{Topic: fmt.Sprintf("t%d", i)}, [16]byte{byte(i + 1)}, DefaultLogConfig(), 0)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, makeBatch(t, batch.Options{}, 1, strings.Repeat("v", 1000), 100))
		if res, ok := l.ReadInFile(0, 1<<20, ReadOptions{}); ok {
			held = append(held, res)
		}
	}
	if len(held) != 4 {
		t.Fatalf("%d spans beside each other", len(held))
	}
	for i := range held {
		held[i].Release()
	}
	l, _ := s.Log(TopicPartition{Topic: "t7"})
	res, ok := l.ReadInFile(0, 1<<20, ReadOptions{})
	if !ok {
		t.Fatal("no span after the others were released")
	}
	res.Release()
}

func TestAFailedSendIsReadAndCheckedTheNextTime(t *testing.T) {
	_, s, l := spanLog(t)
	defer mustClose(t, s)
	res, ok := l.ReadInFile(0, 1<<20, ReadOptions{})
	if !ok {
		t.Fatal("no span")
	}
	res.File.File.SendFailed()
	res.Release()
	name := l.list()[0].path(suffixLog)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[100] ^= 1
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := inFile(t, l, 0, 1<<20); ok {
		t.Fatal("a span of a file that failed before")
	}
	if _, err := l.Read(0, 1<<20, ReadOptions{}); err == nil {
		t.Fatal("the damage is not told")
	}
}

func TestCheckedParts(t *testing.T) {
	for _, c := range []struct {
		name     string
		appends  int64 // -1 for a segment that is not written
		reads    [][2]int64
		from, to int64
		want     bool
	}{
		{"nothing is known", -1, nil, 0, 1, false},
		{"all was appended", 0, nil, 0, 1 << 30, true},
		{"begins before appending did", 100, nil, 99, 200, false},
		{"was read", -1, [][2]int64{{0, 100}}, 10, 100, true},
		{"goes beyond what was read", -1, [][2]int64{{0, 100}}, 10, 101, false},
		{"two reads that join", -1, [][2]int64{{0, 100}, {100, 200}}, 50, 150, true},
		{"two reads that overlap backwards", -1, [][2]int64{{100, 200}, {50, 120}}, 50, 200, true},
		{"of two reads with a gap the newer counts", -1, [][2]int64{{0, 100}, {101, 200}}, 101, 200, true},
		{"of two reads with a gap the older does not", -1, [][2]int64{{0, 100}, {101, 200}}, 0, 100, false},
		{"read up to where appending began", 100, [][2]int64{{0, 100}}, 50, 300, true},
		{"a gap before where appending began", 100, [][2]int64{{0, 99}}, 50, 300, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v checkedParts
			if c.appends >= 0 {
				v.appends(c.appends)
			}
			for _, r := range c.reads {
				v.read(r[0], r[1])
			}
			if got := v.covers(c.from, c.to); got != c.want {
				t.Fatalf("covers(%d, %d) is %v", c.from, c.to, got)
			}
			if v.forget(); v.covers(c.from, c.to) {
				t.Fatal("still known after forget")
			}
		})
	}
}

// TestCursorsOfManyReaders: each of as many readers as there are cursors finds its place again, however
// many others read the same batches.
func TestCursorsOfManyReaders(t *testing.T) {
	var c spanCursors
	for round := range int64(3) {
		for reader := range int64(spanCursorsMax) {
			offset := 1000*(reader+1) + round
			for range 5 {
				c.keep(offset, offset*10)
			}
		}
		for reader := range int64(spanCursorsMax) {
			offset := 1000*(reader+1) + round
			if position, ok := c.find(offset); !ok || position != offset*10 {
				t.Fatalf("round %d, reader %d: position %d, %v", round, reader, position, ok)
			}
		}
	}
	if _, ok := c.find(1000); ok {
		t.Fatal("the place of the first round is still kept")
	}
}
