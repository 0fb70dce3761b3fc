package storage

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// DiskSpace is what a file system has.
type DiskSpace struct {
	// FreeBytes may still be written by this process, TotalBytes is the size
	// of the file system.
	FreeBytes, TotalBytes int64
}

// spaceGuard decides whether clients may write, from the free space alone. It
// stops them when less than the reserve is left and lets them go on only when
// there is clearly more, so that a disk at the edge does not flap.
type spaceGuard struct {
	reserveBytes, resumeBytes int64
	refusing                  bool
}

func newSpaceGuard(reserveBytes int64) spaceGuard {
	return spaceGuard{reserveBytes: reserveBytes, resumeBytes: reserveBytes + reserveBytes/4}
}

// observe notes the free space and says whether the decision has changed.
func (g *spaceGuard) observe(freeBytes int64) (changed bool) {
	was := g.refusing
	if freeBytes < g.reserveBytes {
		g.refusing = true
	} else if freeBytes >= g.resumeBytes {
		g.refusing = false
	}
	return g.refusing != was
}

// credit is how much may be appended before the free space is looked at again:
// a part of what is left above the reserve, because others write too.
func (g *spaceGuard) credit(freeBytes int64) int64 {
	return min(max(freeBytes-g.reserveBytes, 0)/4, spaceCreditMax)
}

// space keeps a reserve of the data directory's disk free of records of
// clients, so that everything else a broker must write to get out of a full
// disk (metadata, offsets, checkpoints, deletions) still finds room.
type space struct {
	dir     string
	free    func(dir string) (DiskSpace, error) // nil is without a reserve
	log     *slog.Logger
	metrics *metrics

	refusing atomic.Bool
	credit   atomic.Int64
	mu       sync.Mutex
	guard    spaceGuard // protected by mu
}

// open looks for the first time. A reserve of 0 is the default one: 1 GiB, but
// not more than a twentieth of the disk.
func (s *space) open(cfg Config, m *metrics) error {
	if cfg.DiskReserveBytes < 0 || cfg.DiskSpace == nil {
		return nil
	}
	s.dir, s.free, s.log, s.metrics = cfg.Dir, cfg.DiskSpace, cfg.Logger, m
	now, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("look at the free space of %s: %w", s.dir, err)
	}
	reserve := cfg.DiskReserveBytes
	if reserve == 0 {
		reserve = min(diskReserveMax, now.TotalBytes/diskReservePart)
	}
	s.guard = newSpaceGuard(reserve)
	m.diskReserveBytes.Set(float64(reserve))
	return s.look()
}

// take admits an append of a client, or refuses it with ErrNoSpace.
func (s *space) take(size int) error {
	if s.free == nil {
		return nil
	}
	if !s.refusing.Load() && s.credit.Add(int64(-size)) < 0 {
		if err := s.look(); err != nil {
			// What is not known does not stop the writers: a disk that is
			// full refuses by itself.
			s.log.Warn("free space is not known", "dir", s.dir, "error", err)
		}
	}
	if !s.refusing.Load() {
		return nil
	}
	s.metrics.refusedAppends.Inc()
	return fmt.Errorf("%w: less than the reserve of the disk is free", ErrNoSpace)
}

// look finds out about the free space and changes the decision where that is due.
func (s *space) look() error {
	if s.free == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.free(s.dir)
	if err != nil {
		return err
	}
	changed := s.guard.observe(now.FreeBytes)
	s.credit.Store(s.guard.credit(now.FreeBytes))
	s.refusing.Store(s.guard.refusing)
	s.metrics.diskFreeBytes.Set(float64(now.FreeBytes))
	if !changed {
		return nil
	}
	detail := []any{"dir", s.dir, "free_bytes", now.FreeBytes, "reserve_bytes", s.guard.reserveBytes, "resume_bytes", s.guard.resumeBytes}
	if s.guard.refusing {
		s.metrics.writesRefused.Set(1)
		s.log.Error("the disk is nearly full: producers are refused until there is room; delete topics or records, lower their retention, or make the disk larger", detail...)
		return nil
	}
	s.metrics.writesRefused.Set(0)
	s.log.Info("there is room on the disk again: producers may write", detail...)
	return nil
}

// WritesRefused says why clients may not write at present: nil, or an error
// that wraps ErrNoSpace.
func (s *Store) WritesRefused() error {
	if !s.space.refusing.Load() {
		return nil
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	return fmt.Errorf("%w: less than %d bytes of %s are free: producers are refused until %d are", ErrNoSpace, s.space.guard.reserveBytes, s.space.dir, s.space.guard.resumeBytes)
}
