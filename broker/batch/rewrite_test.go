package batch

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func rewriteRecords() []Record {
	return []Record{
		{Timestamp: 5000, Key: []byte("a"), Value: []byte("1"), Headers: []RecordHeader{{Key: []byte("h"), Value: []byte("v")}}},
		{Timestamp: 4000, Key: []byte("b")},
		{Timestamp: 9000, Key: nil, Value: []byte("3")},
		{Timestamp: 7000, Key: []byte{}, Value: []byte{}},
	}
}

func mustBatch(t *testing.T, o Options, records []Record) Batch {
	t.Helper()
	raw, err := Build(o, records)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func entriesOf(t *testing.T, b *Batch) (Opened, []Entry) {
	t.Helper()
	o, err := b.Open(DecompressedMax)
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for e, err := range o.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return o, entries
}

func recordsOf(t *testing.T, b *Batch) []Record {
	t.Helper()
	if err := b.CheckCRC(); err != nil {
		t.Fatal(err)
	}
	var out []Record
	for r, err := range b.Records() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// TestRewriteKeepsWhatStays takes every subset of a batch's records, under
// every codec, with and without a delete horizon.
func TestRewriteKeepsWhatStays(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		for _, appendTime := range []bool{false, true} {
			b := mustBatch(t, Options{BaseOffset: 100, LeaderEpoch: 3, Codec: codec, LogAppendTime: appendTime, Producer: &Producer{ID: 9, Epoch: 2, Sequence: 40}}, rewriteRecords())
			all := recordsOf(t, &b)
			opened, entries := entriesOf(t, &b)
			for subset := 1; subset < 1<<len(all); subset++ {
				for _, horizon := range []int64{-1, 123_456_789} {
					var kept []Entry
					var want []Record
					for i := range all {
						if subset>>i&1 == 1 {
							kept, want = append(kept, entries[i]), append(want, all[i])
						}
					}
					raw, err := opened.AppendWith([]byte("before"), kept, horizon)
					if err != nil {
						t.Fatal(err)
					}
					got, err := Parse(raw[len("before"):])
					if err != nil {
						t.Fatal(err)
					}
					if diff := fmt.Sprint(recordsOf(t, &got)); diff != fmt.Sprint(want) {
						t.Fatalf("%s, subset %b: %s, want %v", codec, subset, diff, want)
					}
					checkRewrittenHeader(t, &b, &got, horizon, want)
				}
			}
		}
	}
}

func checkRewrittenHeader(t *testing.T, b, got *Batch, horizon int64, want []Record) {
	t.Helper()
	if got.BaseOffset != b.BaseOffset || got.LastOffset() != b.LastOffset() || got.LastSequence() != b.LastSequence() ||
		got.LeaderEpoch != b.LeaderEpoch || got.ProducerID != b.ProducerID || got.ProducerEpoch != b.ProducerEpoch || got.Codec() != b.Codec() {
		t.Fatalf("header is %+v, was %+v", got.Header, b.Header)
	}
	if ms, ok := got.DeleteHorizon(); ok != (horizon >= 0) || ok && ms != horizon {
		t.Fatalf("delete horizon is %d %v, want %d", ms, ok, horizon)
	}
	top := slices.MaxFunc(want, func(x, y Record) int { return int(x.Timestamp - y.Timestamp) }).Timestamp
	if got.MaxTimestamp != top {
		t.Fatalf("largest timestamp is %d, want %d", got.MaxTimestamp, top)
	}
}

func TestEmptyBatchKeepsOffsetsAndSequence(t *testing.T) {
	b := mustBatch(t, Options{BaseOffset: 7, Codec: LZ4, Transactional: true, Producer: &Producer{ID: 9, Epoch: 2, Sequence: 40}}, rewriteRecords())
	got, err := Parse(b.AppendEmpty(nil))
	if err != nil {
		t.Fatal(err)
	}
	if records := recordsOf(t, &got); len(records) != 0 || len(got.Raw) != HeaderSize {
		t.Fatalf("%d records in %d bytes", len(records), len(got.Raw))
	}
	if got.BaseOffset != 7 || got.LastOffset() != 10 || got.LastSequence() != 43 || !got.IsTransactional() || got.Codec() != None || got.MaxTimestamp != b.MaxTimestamp {
		t.Fatalf("header is %+v", got.Header)
	}
}

func TestEntriesSayWhatIsDamaged(t *testing.T) {
	b := mustBatch(t, Options{}, rewriteRecords())
	for cut := HeaderSize; cut < len(b.Raw); cut++ {
		short := Batch{Header: b.Header, Raw: b.Raw[:cut]}
		o, err := short.Open(DecompressedMax)
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, err := range o.Entries() {
			last = err
		}
		if !errors.Is(last, ErrCorrupt) {
			t.Fatalf("cut at %d of %d: %v", cut, len(b.Raw), last)
		}
	}
}
