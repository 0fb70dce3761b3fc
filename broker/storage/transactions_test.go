package storage

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// transactional makes a batch of n records in a transaction.
func transactional(t testing.TB, id int64, epoch int16, sequence int32, n int) []byte {
	return makeBatch(t, batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Epoch: epoch, Sequence: sequence}}, newTestClock().ms(), fmt.Sprintf("%d/%d", id, sequence), n)
}

// verified appends a batch, with a guard where its transaction needs one.
func verified(l *Log, b []byte) (AppendResult, error) {
	h, err := batch.ParseHeader(b)
	if err != nil {
		return AppendResult{}, err
	}
	var guard VerificationGuard
	if h.IsTransactional() {
		guard, _ = l.BeginVerification(h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	return l.Append(b, AppendOptions{LeaderEpoch: l.LeaderEpoch(), Guard: guard})
}

func mustVerified(t testing.TB, l *Log, b []byte) AppendResult {
	t.Helper()
	res, err := verified(l, b)
	if err != nil {
		t.Fatalf("append in a transaction: %v", err)
	}
	return res
}

func mustMark(t testing.TB, l *Log, m Marker) AppendResult {
	t.Helper()
	res, err := l.AppendMarker(m)
	if err != nil {
		t.Fatalf("append marker %+v: %v", m, err)
	}
	return res
}

// wantStable flushes and compares high watermark and last stable offset.
func wantStable(t *testing.T, l *Log, hw, stable int64) {
	t.Helper()
	mustFlush(t, l, l.LogEnd()-1)
	if l.HighWatermark() != hw || l.LastStableOffset() != stable {
		t.Fatalf("high watermark %d, last stable offset %d, want %d, %d", l.HighWatermark(), l.LastStableOffset(), hw, stable)
	}
}

func transactionLog(t *testing.T) *Log {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	t.Cleanup(func() { mustClose(t, s) })
	return mustCreate(t, s, DefaultLogConfig())
}

func TestTransactionsDecideWhatIsStable(t *testing.T) {
	l := transactionLog(t)
	mustVerified(t, l, transactional(t, 1, 0, 0, 2)) // 0, 1
	wantStable(t, l, 2, 0)
	mustVerified(t, l, transactional(t, 2, 0, 0, 2))                                            // 2, 3
	mustAppend(t, l, makeBatch(t, batch.Options{}, 0, "plain", 1))                              // 4
	mustMark(t, l, Marker{ProducerID: 2, ProducerEpoch: 0, CoordinatorEpoch: 3, Commit: false}) // 5
	mustVerified(t, l, transactional(t, 1, 0, 2, 1))                                            // 6
	wantStable(t, l, 7, 0)                                                                      // producer 1 goes on
	if got := l.ActiveProducers(); got[0].TxnFirstOffset != 0 || got[1].TxnFirstOffset != -1 || got[1].CoordinatorEpoch != 3 {
		t.Errorf("producers %+v", got)
	}
	mustVerified(t, l, transactional(t, 2, 0, 2, 1))    // 7
	mustMark(t, l, Marker{ProducerID: 1, Commit: true}) // 8
	wantStable(t, l, 9, 7)
	res, err := l.Read(0, 1<<20, ReadOptions{Isolation: ReadCommitted})
	if want := []AbortedTransaction{{2, 2}}; err != nil || res.NextOffset != 7 || !slices.Equal(res.Aborted, want) || res.LastStableOffset != 7 {
		t.Errorf("%d, %+v, %v; want %+v", res.NextOffset, res.Aborted, err, want)
	}
	if res, err = l.Read(6, 1<<20, ReadOptions{Isolation: ReadCommitted}); err != nil || len(res.Aborted) != 0 {
		t.Errorf("%+v, %v", res.Aborted, err)
	}
	if res, err = l.Read(0, 1<<20, ReadOptions{}); err != nil || res.NextOffset != 9 || res.Aborted != nil {
		t.Errorf("uncommitted: %d, %+v, %v", res.NextOffset, res.Aborted, err)
	}
}

// TestAMarkerCountsWhenItIsBelowTheHighWatermark: a loss of power must not take back
// what a reader of committed records has seen.
func TestAMarkerCountsWhenItIsBelowTheHighWatermark(t *testing.T) {
	l := transactionLog(t)
	l.flushMu.Lock()                                 // no flush, so that the high watermark stands still
	mustVerified(t, l, transactional(t, 1, 0, 0, 1)) // 0
	l.advance(1, 1)
	mustMark(t, l, Marker{ProducerID: 1, Commit: true}) // 1
	if got := l.LastStableOffset(); got != 0 {
		t.Errorf("last stable offset %d before the marker is flushed", got)
	}
	// A transaction that begins later and ends earlier does not hide it.
	mustVerified(t, l, transactional(t, 2, 0, 0, 1))    // 2
	mustMark(t, l, Marker{ProducerID: 2, Commit: true}) // 3
	for _, c := range [][2]int64{{1, 0}, {2, 2}, {3, 2}, {4, 4}} {
		l.advance(c[0], c[0])
		if got := l.LastStableOffset(); got != c[1] {
			t.Errorf("high watermark %d: last stable offset %d, want %d", c[0], got, c[1])
		}
	}
	l.flushMu.Unlock()
}

func TestVerification(t *testing.T) {
	l := transactionLog(t)
	plain := AppendOptions{}
	if _, err := l.Append(transactional(t, 1, 0, 0, 1), plain); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("without a guard: %v", err)
	}
	guard, ongoing := l.BeginVerification(1, 0, 0)
	if again, _ := l.BeginVerification(1, 0, 1); ongoing || again != guard {
		t.Errorf("guard %v, then %v, ongoing %v", guard, again, ongoing)
	}
	if _, err := l.Append(transactional(t, 1, 0, 1, 1), AppendOptions{Guard: guard}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a later batch before the first: %v", err)
	}
	mustMark(t, l, Marker{ProducerID: 1})
	if _, err := l.Append(transactional(t, 1, 0, 0, 1), AppendOptions{Guard: guard}); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("with a guard from before the marker: %v", err)
	}
	mustVerified(t, l, transactional(t, 1, 0, 0, 1))
	if _, ongoing := l.BeginVerification(1, 0, 1); !ongoing {
		t.Error("the transaction is not known to be ongoing")
	}
	if _, ongoing := l.BeginVerification(1, 1, 0); ongoing {
		t.Error("a newer epoch needs no verification")
	}
	if _, err := l.Append(transactional(t, 1, 0, 1, 1), plain); err != nil {
		t.Errorf("an ongoing transaction needs no guard: %v", err)
	}
	if res, err := l.Append(transactional(t, 1, 0, 1, 1), plain); err != nil || !res.Duplicate {
		t.Errorf("repeated: %+v, %v", res, err)
	}
	if _, err := l.Append(sequenced(t, 1, 0, 2, 1), plain); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("outside of the ongoing transaction: %v", err)
	}
	mustMark(t, l, Marker{ProducerID: 1})
	if _, err := l.Append(transactional(t, 1, 0, 2, 1), plain); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := l.Append(sequenced(t, 1, 0, 2, 1), plain); err != nil {
		t.Errorf("outside of transactions: %v", err)
	}
}

func TestMarkersAreFenced(t *testing.T) {
	l := transactionLog(t)
	mark := func(epoch int16, coordinator int32, version int16, want error) {
		t.Helper()
		_, err := l.AppendMarker(Marker{ProducerID: 1, ProducerEpoch: epoch, CoordinatorEpoch: coordinator, TransactionVersion: version})
		if !errors.Is(err, want) {
			t.Errorf("marker of epoch %d, coordinator %d, version %d: %v, want %v", epoch, coordinator, version, err, want)
		}
	}
	mustVerified(t, l, transactional(t, 1, 3, 0, 1))
	mark(2, 0, 1, ErrInvalidProducerEpoch)
	mark(3, 0, 2, ErrInvalidProducerEpoch) // version 2 raises the epoch for the end
	mark(4, 5, 2, nil)
	mark(4, 5, 2, nil) // again: its answer was lost
	mark(4, 4, 2, ErrCoordinatorFenced)
	mark(3, 5, 2, ErrInvalidProducerEpoch)
	if _, err := verified(l, transactional(t, 1, 3, 1, 1)); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("a batch under the epoch of the transaction that has ended: %v", err)
	}
	if _, err := verified(l, transactional(t, 1, 4, 7, 1)); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a new epoch that does not begin at 0: %v", err)
	}
	mustVerified(t, l, transactional(t, 1, 4, 0, 1))
	mark(4, 5, 2, ErrInvalidProducerEpoch) // the one of before, late
	mark(4, 5, 1, nil)                     // version 1 ends a transaction under its own epoch
	wantStable(t, l, l.LogEnd(), l.LogEnd())
}
