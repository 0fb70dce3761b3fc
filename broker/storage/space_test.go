package storage

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func TestSpaceGuardHasHysteresis(t *testing.T) {
	g := newSpaceGuard(1000)
	for i, step := range []struct {
		free              int64
		refusing, changed bool
		credit            int64
	}{
		{5000, false, false, 1000},
		{1000, false, false, 0},
		{999, true, true, 0},
		{0, true, false, 0},
		{1000, true, false, 0},
		{1249, true, false, 62},
		{1250, false, true, 62},
		{1001, false, false, 0},
		{1 << 50, false, false, spaceCreditMax},
		{500, true, true, 0},
	} {
		changed := g.observe(step.free)
		if changed != step.changed || g.refusing != step.refusing || g.credit(step.free) != step.credit {
			t.Errorf("step %d: changed %v, refusing %v, credit %d; want %+v", i, changed, g.refusing, g.credit(step.free), step)
		}
	}
}

// Producers are refused before the disk is full, others are not, and they may
// go on by themselves when there is room.
func TestTheReserveRefusesClientsAlone(t *testing.T) {
	clock := newTestClock()
	var free atomic.Int64
	free.Store(10_000)
	var log bytes.Buffer
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.DiskReserveBytes = 1000
	cfg.DiskSpace = func(string) (DiskSpace, error) { return DiskSpace{FreeBytes: free.Load(), TotalBytes: 100_000}, nil }
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	b := makeBatch(t, batch.Options{}, clock.ms(), "a", 5)
	written := 0
	var err error
	for written < 1000 && err == nil {
		if _, err = l.Append(b, AppendOptions{}); err == nil {
			written++
			free.Add(int64(-len(b)))
		}
	}
	if !errors.Is(err, ErrNoSpace) || l.Err() != nil {
		t.Fatalf("after %d appends: %v, log: %v", written, err, l.Err())
	}
	if left := free.Load(); left > 1000 || left < 1000-int64(2*len(b)) {
		t.Errorf("refused with %d bytes free, the reserve is 1000", left)
	}
	if s.WritesRefused() == nil {
		t.Error("the store does not say that writes are refused")
	}
	res, err := l.Append(b, AppendOptions{Origin: OriginCoordinator})
	if err != nil {
		t.Errorf("append of a coordinator: %v", err)
	}
	mustFlush(t, l, res.LastOffset)
	if got := readAll(t, l, 0, 1<<20); len(got) != 5*(written+1) {
		t.Errorf("%d records are read, want %d", len(got), 5*(written+1))
	}
	free.Store(1249)
	if err := s.space.look(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(b, AppendOptions{}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("append with little more than the reserve: %v", err)
	}
	free.Store(1300)
	if err := s.space.look(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(b, AppendOptions{}); err != nil || s.WritesRefused() != nil {
		t.Errorf("append when there is room again: %v, %v", err, s.WritesRefused())
	}
	for what, want := range map[string]int{"the disk is nearly full": 1, "there is room on the disk again": 1} {
		if got := strings.Count(log.String(), what); got != want {
			t.Errorf("%q was logged %d times, want %d", what, got, want)
		}
	}
}

func TestTheDefaultReserveFollowsTheDisk(t *testing.T) {
	clock := newTestClock()
	for total, want := range map[int64]int64{100 << 20: 5 << 20, 1 << 40: 1 << 30} {
		cfg := testConfig(vfs.NewMem(clock.Now), clock)
		cfg.DiskSpace = func(string) (DiskSpace, error) { return DiskSpace{FreeBytes: total, TotalBytes: total}, nil }
		s := mustOpen(t, cfg)
		if got := s.space.guard.reserveBytes; got != want {
			t.Errorf("reserve of a disk of %d bytes is %d, want %d", total, got, want)
		}
		mustClose(t, s)
	}
}
