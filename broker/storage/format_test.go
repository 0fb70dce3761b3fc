package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestGoldenFiles holds small files against bytes put together by hand from
// Kafka's schemas: OffsetIndex, TimeIndex, ProducerStateManager (version 1),
// CheckpointFile, LeaderEpochCheckpointFile, PartitionMetadataFile.
func TestGoldenFiles(t *testing.T) {
	snapshot := strings.Join([]string{
		"0001",             // version
		"%crc%",            // checksum of what follows
		"00000001",         // entries
		"000000000000002a", // producer id 42
		"0003",             // producer epoch
		"00000009",         // last sequence
		"00000000000003f1", // last offset 1009
		"00000009",         // offset delta
		"0000018bcfe56800", // timestamp
		"ffffffff",         // coordinator epoch
		"ffffffffffffffff", // first offset of the transaction
	}, "")
	p := newProducers()
	p.update(&batch.Header{ProducerID: 42, ProducerEpoch: 3, BaseSequence: 0, LastOffsetDelta: 9, BaseOffset: 1000, Count: 10, MaxTimestamp: 1700000000000}, 1800000000000)
	content := p.snapshot()
	// CRC-32C, bit by bit.
	crc := ^uint32(0)
	for _, c := range content[6:] {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	crc = ^crc
	snapshot = strings.Replace(snapshot, "%crc%", hex.EncodeToString([]byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)}), 1)
	for _, c := range []struct {
		name      string
		got, want string
	}{
		{"snapshot", hex.EncodeToString(content), snapshot},
		{"index", hex.EncodeToString(appendOffsetEntries(nil, []offsetEntry{{9, 4200}, {300, 70000}})), "00000009" + "00001068" + "0000012c" + "00011170"},
		{"time index", hex.EncodeToString(appendTimeEntries(nil, []timeEntry{{1700000000000, 9}})), "0000018bcfe56800" + "00000009"},
		{"offsets", string(formatOffsets(map[TopicPartition]int64{{"b", 1}: 5, {"a", 0}: 7})), "0\n2\na 0 7\nb 1 5\n"},
		{"epochs", string(formatEpochs([]epochEntry{{0, 0}, {4, 17}})), "0\n2\n0 0\n4 17\n"},
		{"partition.metadata", string(formatPartitionMetadata([16]byte{0xff, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})), "version: 0\ntopic_id: _-4BAgMEBQYHCAkKCwwNDg\n"},
		{"segment name", offsetName(1234, suffixLog), "00000000000000001234.log"},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, c.got, c.want)
		}
	}
}

func TestBadCheckpoints(t *testing.T) {
	for _, bad := range []string{"", "0", "0\n", "1\n0\n", "0\nx\n", "0\n1\n", "0\n1\na 0\n", "0\n1\na 0 1 2\n", "0\n1\na 0 -1\n", "0\n1\na x 1\n", "0\n2\na 0 1\n", "0\n-1\n", "0\n1\n../a 0 1\n"} {
		if got, err := parseOffsets([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
	for _, bad := range []string{"0\n2\n1 5\n1 6\n", "0\n2\n1 5\n2 5\n", "0\n1\n-1 5\n", "0\n1\n1 -5\n"} {
		if got, err := parseEpochs([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
	for _, bad := range []string{"", "version: 1\ntopic_id: _-4BAgMEBQYHCAkKCwwNDg\n", "version: 0\ntopic_id: AA\n", "version: 0\n"} {
		if got, err := parsePartitionMetadata([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

// TestIndexesFollowKafkasRules checks every entry as DumpLogSegments does.
func TestIndexesFollowKafkasRules(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 20000, 500
	l := mustCreate(t, s, cfg)
	for i := range 300 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms()+int64(i*7%50), "some value", 3))
	}
	list := l.list()
	mustClose(t, s)
	entries := 0
	for i, seg := range list {
		type stored struct{ last, position, top int64 }
		var batches []stored
		if err := scanPath(mem, seg, func(b batch.Batch, at int64) error {
			batches = append(batches, stored{b.LastOffset(), at, b.MaxTimestamp})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		find := func(offset int64) stored {
			for _, b := range batches {
				if b.last == offset {
					return b
				}
			}
			t.Fatalf("segment %d: no batch ends at %d", i, offset)
			return stored{}
		}
		offsets, err := readIndex(mem, seg)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range offsets {
			if b := find(seg.base + int64(e.relative)); b.position != int64(e.position) {
				t.Errorf("segment %d: offset %d is at %d, index says %d", i, b.last, b.position, e.position)
			}
		}
		content, err := vfs.ReadFile(mem, seg.path(suffixTimeIndex))
		if err != nil {
			t.Fatal(err)
		}
		times, err := decodeTimeEntries(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range times {
			if b := find(seg.base + int64(e.relative)); b.top != e.timestamp {
				t.Errorf("segment %d: batch to %d has %d, time index says %d", i, b.last, b.top, e.timestamp)
			}
		}
		entries += len(offsets) + len(times)
	}
	if entries < 50 || len(list) < 2 {
		t.Errorf("%d entries in %d segments", entries, len(list))
	}
}

func TestDump(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	mustAppend(t, l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 5}}, clock.ms(), "v", 2))
	mustAppend(t, l, makeBatch(t, batch.Options{Codec: batch.Gzip}, clock.ms(), "w", 1))
	mustVerified(t, l, transactional(t, 6, 0, 0, 1))
	mustMark(t, l, Marker{ProducerID: 6, CoordinatorEpoch: 4})
	mustClose(t, s)
	dump := func(name string, o DumpOptions) (string, error) {
		var b bytes.Buffer
		o.FS = mem
		err := DumpSegment(&b, "/data/"+name, o)
		return b.String(), err
	}
	for _, c := range []struct{ name, want string }{
		{"t-0/00000000000000000000.log", "baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 0 lastSequence: 1 producerId: 5"},
		{"t-0/00000000000000000000.log", "| offset: 2 CreateTime: 1700000000000 keySize: 1 valueSize: 3 sequence: -1 headerKeys: [] key: k payload: w-0"},
		{"t-0/00000000000000000000.timeindex", "timestamp: 1700000000001 offset: 1"},
		{"t-0/00000000000000000000.log", "sequence: -1 headerKeys: [] endTxnMarker: ABORT coordinatorEpoch: 4"},
		{"t-0/00000000000000000000.txnindex", "version: 0 producerId: 6 firstOffset: 3 lastOffset: 4 lastStableOffset: 5"},
		{"t-0/00000000000000000005.snapshot", "producerId: 5 producerEpoch: 0"},
		{"t-0/leader-epoch-checkpoint", "epoch: 0 startOffset: 0"},
		{"t-0/partition.metadata", "topic_id: 0100"},
		{"recovery-point-offset-checkpoint", "topic: t partition: 0 offset: 5"},
	} {
		if got, err := dump(c.name, DumpOptions{Records: true}); err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
		if got, err := dump(c.name, DumpOptions{Records: true, JSON: true}); err != nil || !strings.HasPrefix(got, `{"`) {
			t.Errorf("%s as JSON: %v\n%s", c.name, err, got)
		}
	}
	info, err := mem.Stat("/data/t-0/00000000000000000000.log")
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, mem, "/data/t-0/00000000000000000000.log", info.Size()-3, []byte{9})
	got, err := dump("t-0/00000000000000000000.log", DumpOptions{})
	damage, ok := errors.AsType[*CorruptionError](err)
	if !ok || damage.Offset != 4 || damage.Position == 0 || !strings.Contains(got, "lastOffset: 3") || !strings.Contains(got, "isvalid: false") {
		t.Errorf("damaged: %v\n%s", err, got)
	}
}

func FuzzSmallFiles(f *testing.F) {
	p := newProducers()
	p.update(&batch.Header{ProducerID: 42, BaseSequence: 0, Count: 1}, 1)
	f.Add(p.snapshot())
	f.Add(appendOffsetEntries(nil, []offsetEntry{{9, 4200}, {300, 70000}}))
	f.Add(appendTimeEntries(nil, []timeEntry{{1, 9}, {2, 10}}))
	f.Add([]byte("0\n1\na 0 5\n"))
	f.Add([]byte("0\n1\n3 5\n"))
	f.Add(formatPartitionMetadata([16]byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if entries, err := decodeOffsetEntries(b, 1<<31); err == nil {
			if got := appendOffsetEntries(nil, entries); !bytes.HasPrefix(b, got) {
				t.Errorf("index %x became %x", b, got)
			}
		}
		if entries, err := decodeTimeEntries(b); err == nil {
			if got := appendTimeEntries(nil, entries); !bytes.HasPrefix(b, got) {
				t.Errorf("time index %x became %x", b, got)
			}
		}
		if offsets, err := parseOffsets(b); err == nil {
			if again, err := parseOffsets(formatOffsets(offsets)); err != nil || !reflect.DeepEqual(again, offsets) {
				t.Errorf("offsets %q: %v", b, err)
			}
		}
		if epochs, err := parseEpochs(b); err == nil {
			if again, err := parseEpochs(formatEpochs(epochs)); err != nil || len(again) != len(epochs) {
				t.Errorf("epochs %q: %v", b, err)
			}
		}
		if id, err := parsePartitionMetadata(b); err == nil {
			if again, err := parsePartitionMetadata(formatPartitionMetadata(id)); err != nil || again != id {
				t.Errorf("metadata %q: %v", b, err)
			}
		}
		sealed := bytes.Clone(b)
		if len(sealed) >= snapshotHeaderSize {
			sealed[0], sealed[1] = 0, snapshotVersion
			crc := snapshotCRC(sealed)
			sealed[2], sealed[3], sealed[4], sealed[5] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
		}
		q := newProducers()
		if err := q.restore(sealed, 1); err == nil {
			again := newProducers()
			if err := again.restore(q.snapshot(), 1); err != nil || len(again.byID) != len(q.byID) {
				t.Errorf("snapshot %x: %v", sealed, err)
			}
		}
	})
}

// FuzzRecovery opens a log whose last segment ends in anything. What was there
// before must be found again, or the log be offline.
func FuzzRecovery(f *testing.F) {
	good, err := batch.Build(batch.Options{BaseOffset: 2}, []batch.Record{{Value: []byte("v")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint16(0))
	f.Add(good[:50], uint16(0))
	f.Add(append(bytes.Clone(good), good...), uint16(3))
	f.Add(make([]byte, 100), uint16(0))
	f.Fuzz(func(t *testing.T, tail []byte, back uint16) {
		clock := newTestClock()
		mem := vfs.NewMem(clock.Now)
		s := mustOpen(t, testConfig(mem, clock))
		l := mustCreate(t, s, DefaultLogConfig())
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
		first := l.SizeBytes()
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "b", 1))
		mustFlush(t, l, 1)
		size := l.SizeBytes()
		disk := mem.Crash(vfs.CrashDrop, nil)
		mustClose(t, s)
		at := max(size-int64(back), first)
		overwrite(t, disk, "/data/t-0/00000000000000000000.log", at, tail)
		s = mustOpen(t, testConfig(disk, clock))
		defer s.Close()
		l, _ = s.Log(tp0)
		if l.Err() != nil {
			return
		}
		res, err := l.Read(0, 1<<20, ReadOptions{MinOneBatch: true})
		if err != nil || len(res.Data) == 0 {
			t.Fatalf("%d bytes, %v", len(res.Data), err)
		}
		next := int64(0)
		for b, err := range batch.All(res.Data) {
			if err != nil || b.CheckCRC() != nil || b.BaseOffset != next {
				t.Fatalf("served a bad batch: %v at %d", err, next)
			}
			next = b.LastOffset() + 1
		}
		if at == size && next < 2 {
			t.Fatalf("log ends at %d", next)
		}
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "c", 1))
	})
}
