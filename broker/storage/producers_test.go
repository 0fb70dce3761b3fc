package storage

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func sequenced(t *testing.T, id int64, epoch int16, sequence int32, n int) []byte {
	return makeBatch(t, batch.Options{Producer: &batch.Producer{ID: id, Epoch: epoch, Sequence: sequence}}, newTestClock().ms(), "p", n)
}

func TestSequences(t *testing.T) {
	type step struct {
		id       int64
		epoch    int16
		sequence int32
		n        int
		base     int64 // wanted offset
		dup      bool
		err      error
	}
	for name, steps := range map[string][]step{
		"first must be 0 on a log never written": {{id: 1, sequence: 5, n: 1, err: ErrOutOfOrderSequence}, {id: 1, n: 1}},
		"forgotten producers go on anywhere":     {{id: 1, n: 1}, {id: 2, sequence: 99, n: 2, base: 1}, {id: 2, sequence: 101, n: 1, base: 3}},
		"the last five are known": {
			{id: 1, n: 2},
			{id: 1, sequence: 2, n: 2, base: 2},
			{id: 1, sequence: 4, n: 2, base: 4},
			{id: 1, sequence: 6, n: 2, base: 6},
			{id: 1, sequence: 8, n: 2, base: 8},
			{id: 1, sequence: 10, n: 2, base: 10},
			{id: 1, sequence: 2, n: 2, base: 2, dup: true},
			{id: 1, sequence: 6, n: 2, base: 6, dup: true},
			{id: 1, sequence: 10, n: 2, base: 10, dup: true},
			{id: 1, sequence: 0, n: 2, err: ErrOutOfOrderSequence},
			{id: 1, sequence: 2, n: 3, err: ErrOutOfOrderSequence}, // not the same batch
			{id: 1, sequence: 13, n: 1, err: ErrOutOfOrderSequence},
			{id: 1, sequence: 12, n: 1, base: 12},
		},
		"epochs": {
			{id: 1, epoch: 3, n: 1},
			{id: 1, epoch: 2, sequence: 1, n: 1, err: ErrInvalidProducerEpoch},
			{id: 1, epoch: 4, sequence: 1, n: 1, err: ErrOutOfOrderSequence},
			{id: 1, epoch: 4, n: 1, base: 1},
			{id: 1, epoch: 3, n: 1, err: ErrInvalidProducerEpoch},
			{id: 1, epoch: 4, n: 1, base: 1, dup: true},
		},
		"sequences wrap": {
			{id: 2, n: 1},
			{id: 1, sequence: math.MaxInt32 - 1, n: 1, base: 1},
			{id: 1, sequence: math.MaxInt32, n: 3, base: 2},
			{id: 1, sequence: 2, n: 1, base: 5},
			{id: 1, sequence: math.MaxInt32, n: 3, base: 2, dup: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTestClock()
			mem := vfs.NewMem(clock.Now)
			s := mustOpen(t, testConfig(mem, clock))
			l := mustCreate(t, s, DefaultLogConfig())
			for i, st := range steps {
				res, err := l.Append(sequenced(t, st.id, st.epoch, st.sequence, st.n), AppendOptions{})
				if !errors.Is(err, st.err) || err == nil && (res.BaseOffset != st.base || res.Duplicate != st.dup || res.LastOffset != st.base+int64(st.n)-1) {
					t.Fatalf("step %d: %+v, %v", i, res, err)
				}
			}
			mustFlush(t, l, l.LogEnd()-1)
			// The same answers after a crash and after an orderly restart.
			crashed := mem.Crash(vfs.CrashDrop, nil)
			mustClose(t, s)
			for _, disk := range []*vfs.Mem{crashed, mem} {
				s := mustOpen(t, testConfig(disk, clock))
				l := mustCreate(t, s, DefaultLogConfig())
				var written []step // by the last producer, at its last epoch
				last := steps[len(steps)-1]
				for _, st := range steps {
					if st.err == nil && !st.dup && st.id == last.id && st.epoch >= last.epoch {
						written = append(written, st)
					}
				}
				for i, st := range written[max(0, len(written)-producerBatchesMax):] {
					{
						res, err := l.Append(sequenced(t, st.id, st.epoch, st.sequence, st.n), AppendOptions{})
						if err != nil || !res.Duplicate || res.BaseOffset != st.base {
							t.Fatalf("step %d after restart: %+v, %v", i, res, err)
						}
					}
				}
				mustClose(t, s)
			}
		})
	}
}

func TestProducersExpireByTheBrokersClock(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	mustAppend(t, l, sequenced(t, 1, 0, 0, 1))
	clock.advance(23 * time.Hour)
	mustAppend(t, l, sequenced(t, 2, 0, 0, 1))
	clock.advance(time.Hour)
	if err := s.EnforceRetention(); err != nil {
		t.Fatal(err)
	}
	if res := mustAppend(t, l, sequenced(t, 1, 0, 0, 1)); res.Duplicate {
		t.Error("producer 1 was not forgotten")
	}
	if res := mustAppend(t, l, sequenced(t, 2, 0, 0, 1)); !res.Duplicate {
		t.Error("producer 2 was forgotten")
	}
}

// TestARepeatedBatchHasTheTimestampOfTheFirst holds under CreateTime too, as in Kafka.
func TestARepeatedBatchHasTheTimestampOfTheFirst(t *testing.T) {
	for _, kind := range []TimestampType{CreateTime, LogAppendTime} {
		clock := newTestClock()
		mem := vfs.NewMem(clock.Now)
		s := mustOpen(t, testConfig(mem, clock))
		cfg := DefaultLogConfig()
		cfg.TimestampType = kind
		l := mustCreate(t, s, cfg)
		clock.advance(time.Minute)
		want := newTestClock().ms() + 1 // the second record's
		if kind == LogAppendTime {
			want = clock.ms()
		}
		mustAppend(t, l, sequenced(t, 1, 0, 0, 2))
		clock.advance(time.Minute)
		check := func(l *Log) {
			t.Helper()
			if res := mustAppend(t, l, sequenced(t, 1, 0, 0, 2)); !res.Duplicate || res.LogAppendTimeMs != want {
				t.Errorf("timestamp type %d: %+v, want %d", kind, res, want)
			}
			state := ProducerState{ProducerID: 1, LastSequence: 1, LastTimestampMs: want, CoordinatorEpoch: -1, TxnFirstOffset: -1}
			if got := l.ActiveProducers(); len(got) != 1 || got[0] != state {
				t.Errorf("producers %+v, want %+v", got, state)
			}
		}
		check(l)
		mustFlush(t, l, 1)
		crashed := mem.Crash(vfs.CrashDrop, nil)
		mustClose(t, s)
		for _, disk := range []*vfs.Mem{crashed, mem} { // from the batches, from a snapshot
			s := mustOpen(t, testConfig(disk, clock))
			check(mustCreate(t, s, cfg))
			mustClose(t, s)
		}
	}
}

func TestProducersAreBounded(t *testing.T) {
	p := newProducers()
	for i := range int64(producersMax + 10) {
		p.update(&batch.Header{ProducerID: i, Count: 1}, i)
	}
	if len(p.byID) > producersMax || p.byID[0] != nil || p.byID[producersMax+9] == nil {
		t.Fatalf("%d producers", len(p.byID))
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	p := newProducers()
	for i := range int32(7) {
		p.update(&batch.Header{ProducerID: 4, ProducerEpoch: 2, BaseSequence: 10 * i, LastOffsetDelta: 9, BaseOffset: int64(100 * i), Count: 10, MaxTimestamp: int64(1000 + i)}, 5)
	}
	p.update(&batch.Header{ProducerID: 5, ProducerEpoch: 1, BaseSequence: math.MaxInt32, LastOffsetDelta: 2, BaseOffset: 1000, Count: 3}, 5)
	q := newProducers()
	if err := q.restore(p.snapshot(), 5); err != nil {
		t.Fatal(err)
	}
	for id, want := range p.byID {
		if got := q.byID[id]; got == nil || *got != *want {
			t.Errorf("producer %d: %+v, want %+v", id, got, want)
		}
	}
	if got := q.byID[4].batches[:5]; got[0].firstSequence != 20 || got[4].lastSequence != 69 || got[4].firstOffset != 600 || got[0].timestampMs != 1002 || got[4].timestampMs != 1006 {
		t.Errorf("batches %+v", got)
	}
}

// TestAMarkerRenewsItsProducer: a producer that only ends transactions is in use (KAFKA-9144).
func TestAMarkerRenewsItsProducer(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	mustVerified(t, l, transactional(t, 1, 0, 0, 1))
	mustVerified(t, l, transactional(t, 2, 0, 0, 1))
	mustMark(t, l, Marker{ProducerID: 2, Commit: true})
	clock.advance(23 * time.Hour)
	mustMark(t, l, Marker{ProducerID: 1, Commit: true})
	clock.advance(2 * time.Hour)
	if err := s.EnforceRetention(); err != nil {
		t.Fatal(err)
	}
	var known []int64
	for _, p := range l.ActiveProducers() {
		known = append(known, p.ProducerID)
	}
	if !slices.Equal(known, []int64{1}) {
		t.Errorf("producers %v are known, want 1, whose marker came 2 hours ago", known)
	}
}
