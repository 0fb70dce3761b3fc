package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// filesOf lists the files of a log's directory that end in suffix.
func filesOf(t testing.TB, l *Log, suffix string) []string {
	t.Helper()
	entries, err := l.store.fs.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			out = append(out, e.Name())
		}
	}
	return out
}

// TestDeletedFilesStayForTheirDelay is file.delete.delay.ms: who has found a
// segment before it was deleted can still open it, until its files go.
func TestDeletedFilesStayForTheirDelay(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.RetentionMs, cfg.FileDeleteDelayMs = 1024, 1000, 60_000
	l := mustCreate(t, s, cfg)
	for range 30 {
		mustFlush(t, l, mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 3)).LastOffset)
	}
	old := l.list()[0]
	clock.advance(2 * time.Second)
	if err := s.EnforceRetention(); err != nil {
		t.Fatal(err)
	}
	if len(l.list()) != 1 || len(filesOf(t, l, suffixLog)) != 1 || len(filesOf(t, l, suffixLog+suffixDeleted)) < 3 {
		t.Fatalf("%d segments; files %q", len(l.list()), filesOf(t, l, ""))
	}
	clock.advance(59 * time.Second)
	if err := s.emptyTrash(clock.ms()); err != nil {
		t.Fatal(err)
	}
	h, err := old.acquire(&s.handles)
	if err != nil {
		t.Fatalf("a deleted segment cannot be opened before its delay is over: %v", err)
	}
	if err := h.release(); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Second)
	if err := s.emptyTrash(clock.ms()); err != nil {
		t.Fatal(err)
	}
	if left := filesOf(t, l, suffixDeleted); len(left) > 0 {
		t.Fatalf("after the delay there are %q", left)
	}
	if _, err := old.acquire(&s.handles); err == nil {
		t.Fatal("a segment whose files are gone opens")
	}
}
