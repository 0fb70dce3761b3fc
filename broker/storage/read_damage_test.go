package storage

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/vfs"
)

// TestReadsOfDamageAreLoggedOnceInAWhile: a consumer asks for the same batch again and again.
func TestReadsOfDamageAreLoggedOnceInAWhile(t *testing.T) {
	clock := newTestClock()
	var log strings.Builder
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	seg := (*l.segments.Load())[0]
	for _, want := range []int{1, 1, 2} {
		var damage *CorruptionError
		if err := l.damaged(seg, 7, 3, errEndsEarly); !errors.As(err, &damage) || damage.Position != 7 || damage.Offset != 3 {
			t.Errorf("%v", err)
		}
		if got := strings.Count(log.String(), seg.path(suffixLog)+" is corrupt at byte 7 (offset 3)"); got != want {
			t.Errorf("%d lines, want %d:\n%s", got, want, log.String())
		}
		clock.advance(damageToldMs * time.Millisecond / 2)
	}
}
