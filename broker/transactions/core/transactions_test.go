package core

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

func (b *bench) begin(id string, version int16) Result {
	b.t.Helper()
	p := b.want(nil, initProducer(id))
	b.want(nil, &AddPartitions{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Version: version, Partitions: []Partition{partition("t", 1)}})
	return p
}

func TestCommitAndAbortVersion1(t *testing.T) {
	b := newBench(t)
	p := b.begin("x", 0)
	b.wantState("x", "Ongoing 1001/0 [{t 1}]")
	b.want(nil, &AddPartitions{ID: "x", ProducerID: p.ProducerID, Partitions: []Partition{partition("t", 0), partition("a", 3), partition("t", 1)}})
	b.wantState("x", "Ongoing 1001/0 [{a 3} {t 0} {t 1}]")
	commit := &EndTransaction{ID: "x", ProducerID: p.ProducerID, Commit: true}
	abort := &EndTransaction{ID: "x", ProducerID: p.ProducerID}
	b.want(nil, commit)
	b.wantState("x", "PrepareCommit 1001/0 [{a 3} {t 0} {t 1}]")
	b.want(kerr.ConcurrentTransactions, commit)
	b.want(kerr.InvalidTxnState, abort)
	b.completeAll()
	b.wantState("x", "CompleteCommit 1001/0 []")
	b.want(nil, commit) // a repetition
	b.want(kerr.InvalidTxnState, abort)
	b.want(nil, &AddPartitions{ID: "x", ProducerID: p.ProducerID, Partitions: []Partition{partition("t", 0)}})
	b.want(nil, abort)
	b.completeAll()
	b.wantState("x", "CompleteAbort 1001/0 []")
	b.want(nil, abort)
	b.want(kerr.InvalidTxnState, commit)
}

// TestEndVersion2 is the table at endVersion2.
func TestEndVersion2(t *testing.T) {
	end := func(b *bench, epoch int16, commit bool) int16 {
		return b.do(&EndTransaction{ID: "x", ProducerID: 1001, Epoch: epoch, Version: 2, Commit: commit}).Code
	}
	to := map[State]func(*bench) int16{ // returns the epoch of now
		Empty: func(b *bench) int16 { b.want(nil, initProducer("x")); b.want(nil, initProducer("x")); return 1 },
		CompleteAbort: func(b *bench) int16 {
			b.begin("x", 2)
			end(b, 0, false)
			b.completeAll()
			return 1
		},
		CompleteCommit: func(b *bench) int16 {
			b.begin("x", 2)
			end(b, 0, true)
			b.completeAll()
			return 1
		},
	}
	fenced, invalid := kerr.ProducerFenced.Code, kerr.InvalidTxnState.Code
	for state, codes := range map[State][4]int16{ // abort repeated, abort, commit repeated, commit
		Empty:          {fenced, 0, fenced, invalid},
		CompleteAbort:  {0, 0, invalid, invalid},
		CompleteCommit: {invalid, 0, 0, invalid},
	} {
		for i, want := range codes {
			b := newBench(t)
			now := to[state](b)
			epoch := now - 1 + int16(i%2)
			before := len(b.endings)
			if got := end(b, epoch, i >= 2); got != want {
				t.Errorf("%s, request %d: %d, want %d", state, i, got, want)
			}
			if decides := i == 1; len(b.endings)-before == 1 != decides {
				t.Errorf("%s, request %d: decisions %v", state, i, b.endings)
			}
		}
	}
}

func TestEpochGoesUpWithEachTransaction(t *testing.T) {
	b := newBench(t)
	p := b.begin("x", 2)
	for epoch := p.Epoch; epoch < 5; epoch++ {
		b.want(nil, &AddPartitions{ID: "x", ProducerID: p.ProducerID, Epoch: epoch, Version: 2, Partitions: []Partition{partition("t", 0)}})
		if r := b.want(nil, &EndTransaction{ID: "x", ProducerID: p.ProducerID, Epoch: epoch, Version: 2, Commit: true}); r.ProducerID != p.ProducerID || r.Epoch != epoch+1 {
			t.Fatalf("next is %d/%d after epoch %d", r.ProducerID, r.Epoch, epoch)
		}
		if e := b.endings[0]; e.Epoch != epoch+1 || !e.Commit || e.Version != 2 {
			t.Fatalf("the markers are those of %+v", e)
		}
		b.completeAll()
	}
	b.want(kerr.ProducerFenced, &AddPartitions{ID: "x", ProducerID: p.ProducerID, Epoch: 4, Version: 2, Partitions: []Partition{partition("t", 0)}})
}

// TestEpochsRunOut: the producer id that takes over is told with the last
// transaction, survives a restart in the middle of it, and a repetition is recognized.
func TestEpochsRunOut(t *testing.T) {
	b := newBench(t)
	tx := newTransaction(7, 60_000)
	tx.epoch, tx.state, tx.startMs, tx.version, tx.partitions = epochLast, Ongoing, b.nowMs, 2, []Partition{partition("t", 0)}
	b.log = append(b.log, recordAt(valueVersion, "x", tx))
	b.reload()
	last := &EndTransaction{ID: "x", ProducerID: 7, Epoch: epochLast, Version: 2, Commit: true}
	r := b.want(nil, last)
	if r.ProducerID != 1001 || r.Epoch != 0 {
		t.Fatalf("next is %d/%d", r.ProducerID, r.Epoch)
	}
	b.reload()
	if e := b.endings[0]; e.ProducerID != 7 || e.Epoch != math.MaxInt16 || !e.Commit {
		t.Fatalf("after the restart the markers are those of %+v", e)
	}
	if _, ok := b.step(&AddPartitions{ID: "x", ProducerID: 1001, Version: 2, Partitions: []Partition{partition("t", 0)}}); ok {
		t.Fatal("the successor does not wait for the markers")
	}
	b.completeAll()
	if r := b.results[b.token-1]; r.Code != 0 {
		t.Fatalf("the successor got %d", r.Code)
	}
	b.want(nil, &EndTransaction{ID: "x", ProducerID: 1001, Version: 2, Commit: true})
	b.completeAll()

	b = newBench(t)
	b.log = append(b.log, recordAt(valueVersion, "x", tx))
	b.reload()
	b.want(nil, last)
	b.completeAll()
	b.reload()
	b.wantState("x", "CompleteCommit 1001/0 []")
	if r := b.want(nil, last); r.ProducerID != 1001 || r.Epoch != 0 {
		t.Fatalf("a repetition is told %d/%d", r.ProducerID, r.Epoch)
	}
}

func TestInitProducerIDFences(t *testing.T) {
	b := newBench(t)
	b.want(kerr.InvalidRequest, initProducer(""))
	b.want(kerr.InvalidTransactionTimeout, &InitProducerID{ID: "x", TimeoutMs: 0, ProducerID: -1, Epoch: -1})
	b.want(kerr.InvalidTransactionTimeout, &InitProducerID{ID: "x", TimeoutMs: b.cfg.TimeoutMaxMs + 1, ProducerID: -1, Epoch: -1})
	old := b.begin("x", 2)
	b.want(kerr.ConcurrentTransactions, initProducer("x"))
	if e := b.endings[0]; e.Commit || e.Epoch != 1 {
		t.Fatalf("the fenced transaction ends as %+v", e)
	}
	b.want(kerr.ConcurrentTransactions, initProducer("x"))
	b.completeAll()
	if r := b.want(nil, initProducer("x")); r.ProducerID != old.ProducerID || r.Epoch != 2 {
		t.Fatalf("the new producer is %d/%d", r.ProducerID, r.Epoch)
	}
	b.want(kerr.ProducerFenced, &AddPartitions{ID: "x", ProducerID: old.ProducerID, Partitions: []Partition{partition("t", 0)}})
	b.want(kerr.ProducerFenced, &EndTransaction{ID: "x", ProducerID: old.ProducerID, Commit: true})
	b.want(kerr.ProducerFenced, &EndTransaction{ID: "x", ProducerID: old.ProducerID, Commit: true, Version: 2})
	b.want(kerr.ProducerFenced, &VerifyPartitions{ID: "x", ProducerID: old.ProducerID, Partitions: []Partition{partition("t", 0)}})
	b.want(kerr.InvalidProducerIDMapping, &AddPartitions{ID: "x", ProducerID: 5, Partitions: []Partition{partition("t", 0)}})
	b.want(kerr.InvalidProducerIDMapping, &EndTransaction{ID: "unknown", ProducerID: 5})
}

// TestInitProducerIDGoesOn is KIP-360: a producer that names what it has is
// bumped once, also when it asks twice, and fenced when another came.
func TestInitProducerIDGoesOn(t *testing.T) {
	b := newBench(t)
	p := b.want(nil, initProducer("x"))
	again := &InitProducerID{ID: "x", TimeoutMs: 60_000, ProducerID: p.ProducerID, Epoch: p.Epoch}
	for range 2 {
		if r := b.want(nil, again); r.ProducerID != p.ProducerID || r.Epoch != 1 {
			t.Fatalf("%d/%d", r.ProducerID, r.Epoch)
		}
	}
	b.want(kerr.ProducerFenced, &InitProducerID{ID: "x", TimeoutMs: 60_000, ProducerID: 5, Epoch: 1})
	b.want(nil, initProducer("x")) // another one
	b.want(kerr.ProducerFenced, again)
	b.want(kerr.ProducerFenced, &InitProducerID{ID: "x", TimeoutMs: 60_000, ProducerID: p.ProducerID, Epoch: 1})
}

func TestVerify(t *testing.T) {
	b := newBench(t)
	p := b.begin("x", 0)
	r := b.want(nil, &VerifyPartitions{ID: "x", ProducerID: p.ProducerID, Partitions: []Partition{partition("t", 1), partition("t", 2)}})
	if r.Codes[0] != 0 || r.Codes[1] != kerr.TransactionAbortable.Code {
		t.Fatalf("%v", r.Codes)
	}
	b.want(nil, &EndTransaction{ID: "x", ProducerID: p.ProducerID})
	b.want(kerr.ConcurrentTransactions, &VerifyPartitions{ID: "x", ProducerID: p.ProducerID, Partitions: []Partition{partition("t", 1)}})
}

// TestJoinWaits: who wants to begin the next transaction waits for the last one, but not for ever.
func TestJoinWaits(t *testing.T) {
	b := newBench(t)
	p := b.begin("x", 2)
	b.want(nil, &EndTransaction{ID: "x", ProducerID: p.ProducerID, Version: 2, Commit: true})
	join := &AddPartitions{ID: "x", ProducerID: p.ProducerID, Epoch: 1, Version: 2, Partitions: []Partition{partition("t", 0)}}
	for range 2 {
		if _, ok := b.step(join); ok {
			t.Fatal("answered while the markers are written")
		}
	}
	if at := b.s.NextDeadline(); at != b.nowMs+b.cfg.WaitMs {
		t.Fatalf("wakes up in %d ms", at-b.nowMs)
	}
	b.completeAll()
	for token := b.token - 2; token < b.token; token++ {
		if r, ok := b.results[token]; !ok || r.Code != 0 {
			t.Fatalf("request %d: %+v %v", token, r, ok)
		}
	}
	b.wantState("x", "Ongoing 1001/1 [{t 0}]")

	b.want(nil, &EndTransaction{ID: "x", ProducerID: p.ProducerID, Epoch: 1, Version: 2, Commit: true})
	join.Epoch = 2
	b.step(join)
	b.tick(b.cfg.WaitMs)
	if r := b.results[b.token]; r.Code != kerr.ConcurrentTransactions.Code {
		t.Fatalf("after the wait: %+v", r)
	}
	for range waitersMax {
		b.step(join)
	}
	b.want(kerr.ConcurrentTransactions, join)
}

func TestTimeouts(t *testing.T) {
	b := newBench(t)
	p := b.begin("x", 2)
	b.tick(60_000)
	if len(b.endings) != 0 {
		t.Fatal("aborted at its timeout, not after it")
	}
	b.tick(b.cfg.TimeoutIntervalMs)
	b.wantState("x", "PrepareAbort 1001/1 [{t 1}]")
	if e := b.endings[0]; e.Commit || e.Epoch != 1 || b.events[0].Kind != EventTimedOut {
		t.Fatalf("%+v %+v", b.endings, b.events)
	}
	b.completeAll()
	b.want(kerr.InvalidTxnState, &EndTransaction{ID: "x", ProducerID: p.ProducerID, Version: 2, Commit: true})
	b.want(kerr.ProducerFenced, &AddPartitions{ID: "x", ProducerID: p.ProducerID, Version: 2, Partitions: []Partition{partition("t", 1)}})

	b.tick(b.cfg.ExpirationMs)
	b.wantState("x", "TRANSACTIONAL_ID_NOT_FOUND")
	if r := b.log[len(b.log)-1]; r.Value != nil {
		t.Error("an id expired without a tombstone")
	}
	b.reload()
	b.wantState("x", "TRANSACTIONAL_ID_NOT_FOUND")
}

// TestRefusedAppendsLeaveNoTrace: after each kind of request that was refused for lack of
// space the state is what it was, and the same request succeeds later.
func TestRefusedAppendsLeaveNoTrace(t *testing.T) {
	b := newBench(t)
	try := func(req Request) {
		t.Helper()
		before := b.state("x")
		b.refuse = true
		b.want(kerr.CoordinatorNotAvailable, req)
		b.refuse = false
		b.wantState("x", before)
		if len(b.endings) != 0 {
			t.Fatal("a refused decision is carried out")
		}
		b.want(nil, req)
	}
	try(initProducer("x"))
	try(&AddPartitions{ID: "x", ProducerID: 1002, Version: 2, Partitions: []Partition{partition("t", 0)}})
	try(&EndTransaction{ID: "x", ProducerID: 1002, Version: 2, Commit: true})
	b.endings = nil
	try(&MarkersWritten{ID: "x", ProducerID: 1002, Epoch: 1})
	b.wantState("x", "CompleteCommit 1002/1 []")
}

func TestTooManyIDs(t *testing.T) {
	b := newBench(t)
	b.s.cfg.TransactionsMax = 2
	b.want(nil, initProducer("a"))
	b.want(nil, initProducer("b"))
	b.want(kerr.CoordinatorNotAvailable, initProducer("c"))
	b.want(nil, initProducer("a"))
}

// TestForgedLastEpoch: the epoch that only fences cannot be used by a client.
func TestForgedLastEpoch(t *testing.T) {
	b := newBench(t)
	tx := newTransaction(7, 60_000)
	tx.epoch, tx.state, tx.startMs = math.MaxInt16, CompleteAbort, 1
	b.log = append(b.log, recordAt(valueVersion, "x", tx))
	b.reload()
	b.want(kerr.ProducerFenced, &AddPartitions{ID: "x", ProducerID: 7, Epoch: math.MaxInt16, Version: 2, Partitions: []Partition{partition("t", 0)}})
	b.want(kerr.ProducerFenced, &EndTransaction{ID: "x", ProducerID: 7, Epoch: math.MaxInt16, Version: 2})
	if r := b.want(nil, initProducer("x")); r.ProducerID != 1001 || r.Epoch != 0 {
		t.Fatalf("the next producer is %d/%d", r.ProducerID, r.Epoch)
	}
}

// TestTheNextEndWaitsForTheMarkers: the owner of the bumped epoch may abort its
// next, empty transaction before the last one is complete. It is no zombie.
func TestTheNextEndWaitsForTheMarkers(t *testing.T) {
	b := newBench(t)
	b.begin("x", 2)
	end := func(epoch int16, commit bool) int16 {
		return b.do(&EndTransaction{ID: "x", ProducerID: 1001, Epoch: epoch, Version: 2, Commit: commit}).Code
	}
	if got := end(0, true); got != 0 {
		t.Fatalf("commit: %d", got)
	}
	for epoch, want := range map[int16]*kerr.Error{0: kerr.ConcurrentTransactions, 1: kerr.ConcurrentTransactions, 2: kerr.ProducerFenced} {
		if got := end(epoch, epoch == 0); got != want.Code {
			t.Errorf("epoch %d before the markers: %d, want %d", epoch, got, want.Code)
		}
	}
	b.completeAll()
	if got := end(1, false); got != 0 {
		t.Errorf("abort after the markers: %d", got)
	}
}

// TestTheVersionOfTheCluster: records have the schema of transaction.version, and what
// the coordinator aborts by itself is aborted under it. A transaction that began
// before a change is decided after it.
func TestTheVersionOfTheCluster(t *testing.T) {
	for level, want := range map[int16]struct{ schema, marker int16 }{0: {0, 0}, 1: {1, 1}, 2: {1, 2}} {
		b := newBench(t)
		b.begin("x", 2)
		b.s.SetVersion(level)
		out := b.s.Step(Input{NowMs: b.s.nowMs, Token: 9, Request: initProducer("x"), NewProducerID: func() (int64, error) { return 5000, nil }})
		if len(out.Records) != 1 {
			t.Fatalf("level %d: %d records", level, len(out.Records))
		}
		if got := int16(binary.BigEndian.Uint16(out.Records[0].Value)); got != want.schema {
			t.Errorf("level %d: the record has version %d, want %d", level, got, want.schema)
		}
		after := out.Records[0].after
		if after.state != PrepareAbort || after.version != want.marker || after.epoch != 1 {
			t.Errorf("level %d: %s under version %d, epoch %d, want PrepareAbort under %d, epoch 1", level, after.state, after.version, after.epoch, want.marker)
		}
		if got, err := decodeValue(out.Records[0].Value); err != nil || got.state != PrepareAbort || got.epoch != 1 {
			t.Errorf("level %d: read again: %+v, %v", level, got, err)
		}
	}
}
