package storage

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// noOffset is greater than every offset.
const noOffset = math.MaxInt64

// ongoingTxn is a transaction without a marker.
type ongoingTxn struct{ first, producerID int64 }

// ongoingTxns are the transactions of a log that no marker has ended, in the
// order of their first offsets. There is at most one per producer id.
type ongoingTxns []ongoingTxn

func (o *ongoingTxns) begin(t ongoingTxn) {
	i, _ := slices.BinarySearchFunc(*o, t.first, compareFirst) // the last place, but for a snapshot
	*o = slices.Insert(*o, i, t)
}

func (o *ongoingTxns) end(first int64) {
	if i, found := slices.BinarySearchFunc(*o, first, compareFirst); found {
		*o = slices.Delete(*o, i, i+1)
	}
}

func compareFirst(t ongoingTxn, first int64) int {
	switch {
	case t.first < first:
		return -1
	case t.first > first:
		return 1
	}
	return 0
}

// firstOffset returns where the oldest one began, noOffset for none.
func (o ongoingTxns) firstOffset() int64 {
	if len(o) == 0 {
		return noOffset
	}
	return o[0].first
}

// completedTxn is a transaction that a marker has ended.
type completedTxn struct {
	producerID int64
	// first is where the transaction began in the log, last its marker.
	first, last int64
	commit      bool
	// lastStable is the first offset that was undecided after it, as if the
	// high watermark were behind the marker.
	lastStable int64
}

// stability knows from which offset on a log is unstable: the beginning of the
// oldest transaction that is ongoing, or whose marker a loss of power could
// still take back (Kafka: unreplicated transactions).
//
// A reader that loads the high watermark first and then first never sees
// beyond an undecided record: a transaction begins here before its offset can be
// below the high watermark, and leaves after its marker is.
type stability struct {
	first atomic.Int64 // noOffset when everything is stable

	mu      sync.Mutex
	ongoing int64 // beginning of the oldest ongoing one; protected by mu
	// decided are transactions whose markers lie at or above the high
	// watermark. Invariant: first and last grow; one that began after a later
	// one is left out, because it never decides first. Protected by mu.
	decided []decidedTxn
}

type decidedTxn struct{ first, last int64 }

func newStability() *stability {
	s := &stability{ongoing: noOffset}
	s.first.Store(noOffset)
	return s
}

// began notes where the oldest ongoing transaction begins, after one has begun.
func (s *stability) began(ongoing int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ongoing = ongoing
	s.settle()
}

// ended notes a transaction's end and the oldest one that goes on. Markers come in the order of
// their offsets.
func (s *stability) ended(t completedTxn, ongoing int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.decided)
	for n > 0 && s.decided[n-1].first > t.first {
		n--
	}
	s.decided = append(s.decided[:n], decidedTxn{t.first, t.last})
	s.ongoing = ongoing
	s.settle()
}

// advanced notes that the high watermark has moved to hw.
func (s *stability) advanced(hw int64) {
	if s.first.Load() >= hw {
		return // the usual case: no transaction, or none that began before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.decided) && s.decided[n].last < hw {
		n++
	}
	if n > 0 {
		s.decided = slices.Delete(s.decided, 0, n)
		s.settle()
	}
}

// reset begins anew: everything is stable.
func (s *stability) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided, s.ongoing = nil, noOffset
	s.settle()
}

// settle is called with mu held.
func (s *stability) settle() {
	first := s.ongoing
	if len(s.decided) > 0 {
		first = min(first, s.decided[0].first)
	}
	s.first.Store(first)
}

// LastStableOffset returns the offset below which no transaction is undecided
// and every marker is below the high watermark. Without transactions that is the high watermark.
func (l *Log) LastStableOffset() int64 { return l.stableBelow(l.hw.Load()) }

// HasOpenTransaction reports whether a transaction was begun here that no marker has ended.
func (l *Log) HasOpenTransaction() bool {
	l.stable.mu.Lock()
	defer l.stable.mu.Unlock()
	return l.stable.ongoing != noOffset
}

// stableBelow returns the last stable offset for a high watermark that was loaded before.
func (l *Log) stableBelow(hw int64) int64 {
	return max(min(hw, l.stable.first.Load()), min(hw, l.logStart.Load()))
}
