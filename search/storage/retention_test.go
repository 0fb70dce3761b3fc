package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/vfs"
)

func TestRetentionByAge(t *testing.T) {
	now := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	cfg := testConfig(vfs.NewMem(nil))
	cfg.RetentionTime, cfg.Clock = 30*24*time.Hour, func() time.Time { return now }
	s := mustOpen(t, cfg)
	put(t, mustIndex(t, s, "old-events"), "1", `{"@timestamp":"2001-01-01T00:00:00Z"}`, false)
	put(t, mustIndex(t, s, "future-events"), "1", `{"@timestamp":"2024-03-20T00:00:00Z"}`, false)
	for _, ix := range s.Indices() {
		if err := ix.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		s.retain()
		var names []string
		for _, ix := range s.Indices() {
			names = append(names, ix.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("at %v there are %q, want %q", now, got, want)
		}
	}
	expect("future-events old-events") // old events that have just been read in
	now = now.Add(31 * 24 * time.Hour)
	expect("future-events")
	now = now.Add(31 * 24 * time.Hour)
	expect("")
}

func TestRetentionBySize(t *testing.T) {
	now := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	cfg := testConfig(vfs.NewMem(nil))
	cfg.Clock = func() time.Time { return now }
	s := mustOpen(t, cfg)
	n := 0
	fill := func(name string) {
		ix := s.Index(name)
		if ix == nil {
			ix = mustIndex(t, s, name)
		}
		for range 200 {
			put(t, ix, fmt.Sprintf("f:%d", n), fmt.Sprintf(`{"n":%d,"m":"%x"}`, n, n*2654435761), true)
			n++
		}
		if err := ix.Flush(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	fill("a")
	fill("b")
	fill("b")
	fill("b")
	s.retentionBytes = s.Index("b").Stats().Bytes
	s.retain()
	if s.Index("a") != nil || s.Index("b").Stats().Segments != 3 {
		t.Error("the oldest index should have gone first, and alone")
	}
	s.retentionBytes -= 10
	s.retain()
	if got := s.Index("b").Stats(); got.Segments != 2 || got.Documents != 400 {
		t.Errorf("the last index is left with %+v", got)
	}
	s.retentionBytes = 1
	s.retain()
	if got := s.Index("b").Stats(); got.Segments != 1 || got.Documents != 200 {
		t.Errorf("the newest segment must stay: %+v", got)
	}
}
