package storage

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// Every codec is converted to every other: records, timestamps, producer and
// sequence stay, and a batch that has the codec already stays as it is.
func TestBatchesAreStoredWithTheCodecOfTheTopic(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	codecs := []batch.Codec{batch.None, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd}
	levels := map[batch.Codec][]int{batch.None: {0}, batch.Snappy: {0}, batch.Gzip: {-1, 1, 9}, batch.LZ4: {1, 9, 17}, batch.Zstd: {-5, 3, 22}}
	producerID := int64(0)
	for n, to := range codecs {
		for _, level := range levels[to] {
			cfg := DefaultLogConfig()
			cfg.Compression = Compression{Convert: true, Codec: to, Level: level}
			l, err := s.CreateLog(TopicPartition{Topic: fmt.Sprintf("%s-%d", to, level+10), Partition: int32(n)}, [16]byte{1}, cfg, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, from := range codecs {
				producerID++
				records := make([]batch.Record, 100)
				for i := range records {
					records[i] = batch.Record{Timestamp: clock.ms() - int64(i), Key: fmt.Appendf(nil, "key %d", i), Value: bytes.Repeat([]byte("value "), i), Headers: []batch.RecordHeader{{Key: []byte("h"), Value: []byte("v")}}}
				}
				raw, err := batch.Build(batch.Options{Codec: from, Producer: &batch.Producer{ID: producerID, Epoch: 3, Sequence: 0}}, records)
				if err != nil {
					t.Fatal(err)
				}
				sent := bytes.Clone(raw)
				res := mustAppend(t, l, raw)
				mustFlush(t, l, res.LastOffset)
				if again := mustAppend(t, l, bytes.Clone(sent)); !again.Duplicate || again.BaseOffset != res.BaseOffset {
					t.Errorf("%s to %s: a repeated batch: %+v", from, to, again)
				}
				read, err := l.Read(res.BaseOffset, 1<<20, ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				b, err := batch.Parse(read.Data)
				if err != nil || b.CheckCRC() != nil {
					t.Fatalf("%s to %s: %v, %v", from, to, err, b.CheckCRC())
				}
				if b.Codec() != to || b.ProducerID != producerID || b.ProducerEpoch != 3 || b.BaseSequence != 0 || b.Count != 100 {
					t.Errorf("%s to %s: header %+v", from, to, b.Header)
				}
				if from == to && !bytes.Equal(b.Raw[batch.HeaderSize:], sent[batch.HeaderSize:]) {
					t.Errorf("%s to %s: records were compressed anew", from, to)
				}
				i := 0
				for r, err := range b.Records() {
					if err != nil {
						t.Fatal(err)
					}
					if w := records[i]; r.Offset != res.BaseOffset+int64(i) || r.Timestamp != w.Timestamp || !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.Value, w.Value) || len(r.Headers) != 1 {
						t.Fatalf("%s to %s: record %d is %+v", from, to, i, r)
					}
					i++
				}
				read.Release()
			}
		}
	}
}

// What a conversion finds in the records, or makes of them, refuses the batch.
func TestBatchesThatCannotBeConvertedAreRefused(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.Compression = Compression{Convert: true, Codec: batch.None}
	l := mustCreate(t, s, cfg)
	build := func(value []byte) []byte {
		raw, err := batch.Build(batch.Options{Codec: batch.Zstd}, []batch.Record{{Timestamp: clock.ms(), Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if _, err := l.Append(build(make([]byte, 2<<20)), AppendOptions{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large after the conversion: %v", err)
	}
	bomb := build(make([]byte, convertedRecordsMax+1))
	if int64(len(bomb)) > cfg.MaxMessageBytes {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	if _, err := l.Append(bomb, AppendOptions{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decompression bomb: %v", err)
	}
	noRecords, err := batch.Parse(build([]byte("v")))
	if err != nil {
		t.Fatal(err)
	}
	damaged, err := noRecords.Recompress(batch.Gzip, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	damaged = damaged[:len(damaged)-9]
	batch.SetLogAppendTime(damaged, clock.ms()) // seals it again
	if _, err := l.Append(damaged, AppendOptions{}); err == nil {
		t.Error("a batch that is cut off was taken")
	}
	if l.LogEnd() != 0 || l.Err() != nil {
		t.Errorf("the log ends at %d: %v", l.LogEnd(), l.Err())
	}
	// A coordinator's batches are stored as they are.
	res, err := l.Append(build([]byte("v")), AppendOptions{Origin: OriginCoordinator})
	if err != nil {
		t.Fatal(err)
	}
	mustFlush(t, l, res.LastOffset)
}
