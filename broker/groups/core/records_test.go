package core

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRecordBytes pins the schemas of Apache Kafka 4.1: OffsetCommitKey 1,
// OffsetCommitValue 1, 3 and 4, GroupMetadataKey 2, GroupMetadataValue 3.
func TestRecordBytes(t *testing.T) {
	g := newGroup("g", 7)
	g.generation, g.state = 2, Stable
	g.add(&member{
		id: "m", instance: new("i"), client: Client{"c", "/h"}, rebalanceTimeoutMs: 3, sessionTimeoutMs: 4,
		protocolType: "consumer", protocols: []protocol{{"range", []byte{1}}}, assignment: []byte{2, 3},
	})
	g.protocol = "range"
	plain := offset{offset: 5, leaderEpoch: 6, metadata: "x", commitMs: 8, expireMs: -1}
	expiring, named := plain, plain
	expiring.expireMs, named.topicID = 9, [16]byte{15: 1}
	for _, c := range []struct {
		name   string
		record Record
		key    string
		value  string
	}{
		{"offset", offsetRecord("g", "t", 1, plain), "0001 0001 67 0001 74 00000001", "0003 0000000000000005 00000006 0001 78 0000000000000008"},
		{"offset with its own expiry", offsetRecord("g", "t", 1, expiring), "0001 0001 67 0001 74 00000001", "0001 0000000000000005 0001 78 0000000000000008 0000000000000009"},
		{"offset with topic id", offsetRecord("g", "t", 1, named), "0001 0001 67 0001 74 00000001", "0004 0000000000000005 00000006 02 78 0000000000000008 01 00 10 00000000000000000000000000000001"},
		{"offset gone", offsetTombstone("g", "t", 1), "0001 0001 67 0001 74 00000001", ""},
		{"group", groupRecord(g), "0002 0001 67", "0003 0008 636f6e73756d6572 00000002 0005 72616e6765 0001 6d 0000000000000007" +
			"00000001 0001 6d 0001 69 0001 63 0002 2f68 00000003 00000004 00000001 01 00000002 0203"},
		{"empty group", groupRecord(newGroup("g", 7)), "0002 0001 67", "0003 0000 00000000 ffff ffff 0000000000000007 00000000"},
		{"group gone", groupTombstone("g"), "0002 0001 67", ""},
	} {
		if got, want := hex.EncodeToString(c.record.Key), strings.ReplaceAll(c.key, " ", ""); got != want {
			t.Errorf("%s: key\n got %s\nwant %s", c.name, got, want)
		}
		if got, want := hex.EncodeToString(c.record.Value), strings.ReplaceAll(c.value, " ", ""); got != want {
			t.Errorf("%s: value\n got %s\nwant %s", c.name, got, want)
		}
		if (c.record.Value == nil) != (c.value == "") {
			t.Errorf("%s: a tombstone is a null value", c.name)
		}
		if _, err := decode(c.record.Key, c.record.Value); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReplayTakesWhatOtherVersionsWrote(t *testing.T) {
	s := New(DefaultConfig(), rand.New(rand.NewPCG(1, 1)), nil)
	bytesOf := func(text string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := bytesOf("0000 0001 67 0001 74 00000001") // OffsetCommitKey 0
	for _, value := range []string{
		"0000 0000000000000005 0001 78 0000000000000008", // OffsetCommitValue 0
		"0002 0000000000000005 0001 78 0000000000000008", // 2
	} {
		if err := s.Replay(key, bytesOf(value)); err != nil {
			t.Fatal(err)
		}
		if got := s.groups["g"].offsets["t"][1]; got.offset != 5 || got.leaderEpoch != -1 || got.metadata != "x" || got.commitMs != 8 {
			t.Errorf("%s became %+v", value, got)
		}
		if err := s.Replay(key, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Keys of other group protocols are left alone; broken ones are errors.
	if err := s.Replay(bytesOf("000b 0001 67"), []byte{0, 0}); err != nil {
		t.Errorf("a ShareGroupMetadataKey: %v", err)
	}
	for _, broken := range []string{"", "00", "0001 0009 67", "0002", "0003", "0005 0001 67", "0010 0001 67"} {
		if err := s.Replay(bytesOf(broken), nil); err == nil {
			t.Errorf("key %q was taken", broken)
		}
	}
}

func TestReplayOfTransactions(t *testing.T) {
	s := New(DefaultConfig(), rand.New(rand.NewPCG(1, 1)), nil)
	commit := func(producer, offsetTo int64) {
		r := offsetRecord("g", "t", 0, offset{offset: offsetTo, expireMs: -1})
		if err := s.ReplayTransactional(producer, r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, 10)
	commit(2, 20)
	if s.groups["g"].offsetCount() != 0 {
		t.Error("an open transaction is visible")
	}
	s.ReplayMarker(2, false)
	if s.groups["g"].offsetCount() != 0 {
		t.Error("an aborted transaction is visible")
	}
	s.ReplayMarker(1, true)
	if got := s.groups["g"].offsets["t"][0].offset; got != 10 {
		t.Errorf("the committed transaction left offset %d", got)
	}
	commit(3, 30)
	if err := s.Replay(offsetRecord("g", "t", 0, offset{offset: 40, expireMs: -1}).Key, offsetRecord("g", "t", 0, offset{offset: 40, expireMs: -1}).Value); err != nil {
		t.Fatal(err)
	}
	s.ReplayMarker(3, true)
	if got := s.groups["g"].offsets["t"][0].offset; got != 40 {
		t.Errorf("a commit that came before the marker was replaced by %d", got)
	}
	if len(s.open.producers)+len(s.open.pending)+len(s.open.groups) != 0 {
		t.Errorf("something of decided transactions is left: %+v", s.open)
	}
}

// FuzzReplay: no bytes of a log make a shard panic, then or later.
func FuzzReplay(f *testing.F) {
	g := newGroup("g", 7)
	g.add(&member{id: "m", instance: new("i"), protocolType: "consumer", protocols: []protocol{{"range", []byte{1}}}})
	g.protocol = "range"
	for _, r := range []Record{groupRecord(g), groupTombstone("g"), offsetRecord("g", "t", 1, offset{topicID: [16]byte{1}}), offsetTombstone("g", "t", 1)} {
		f.Add(r.Key, r.Value)
	}
	for _, r := range consumerRecords() {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := New(DefaultConfig(), rand.New(rand.NewPCG(1, 1)), nil)
		if s.Replay(key, value) != nil {
			return
		}
		s.Loaded(1000)
		for range 20 {
			deadline, ok := s.NextDeadline()
			if !ok {
				break
			}
			s.Appended(s.Tick(deadline).Records)
		}
	})
}
