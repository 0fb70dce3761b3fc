package batch

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func testRecords() []Record {
	return []Record{
		{Timestamp: 1000, Key: []byte("k1"), Value: []byte("v1")},
		{Timestamp: 999, Key: nil, Value: []byte{}},
		{Timestamp: 1005, Key: []byte{}, Value: nil, Headers: []RecordHeader{{Key: []byte("h"), Value: []byte("x")}, {Key: []byte(""), Value: nil}}},
		{Timestamp: 1001, Value: bytes.Repeat([]byte("long "), 5000)},
	}
}

func TestBuildAndOpen(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			want := testRecords()
			raw, err := Build(Options{BaseOffset: 100, LeaderEpoch: 3, Codec: codec, Producer: &Producer{ID: 9, Epoch: 2, Sequence: math.MaxInt32 - 1}}, want)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Parse(append(raw, 1, 2, 3))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Validate(); err != nil {
				t.Fatal(err)
			}
			if b.BaseOffset != 100 || b.LastOffset() != 103 || b.LeaderEpoch != 3 || b.BaseTimestamp != 1000 || b.MaxTimestamp != 1005 || b.LastSequence() != 1 || b.Codec() != codec || len(b.Raw) != len(raw) {
				t.Fatalf("header %+v", b.Header)
			}
			i := 0
			for r, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				w := want[i]
				if r.Offset != int64(100+i) || r.Timestamp != w.Timestamp || !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.Value, w.Value) ||
					(r.Key == nil) != (w.Key == nil) || (r.Value == nil) != (w.Value == nil) || fmt.Sprint(r.Headers) != fmt.Sprint(w.Headers) {
					t.Fatalf("record %d: %+v", i, r)
				}
				i++
			}
			if i != len(want) {
				t.Fatalf("%d records", i)
			}
			var other kmsg.RecordBatch
			if err := other.ReadFrom(raw); err != nil || int32(b.CRC) != other.CRC || other.NumRecords != 4 || other.ProducerID != 9 || other.MaxTimestamp != 1005 {
				t.Fatalf("franz-go reads %+v, %v", other, err)
			}
		})
	}
}

// TestGolden holds the format against bytes that were put together by hand
// from Kafka's documentation of RecordBatch and Record.
func TestGolden(t *testing.T) {
	golden := strings.Join([]string{
		"0000000000000007",        // base offset
		"0000003a",                // length: 70 bytes less 12
		"00000002",                // partition leader epoch
		"02",                      // magic
		"%s",                      // crc
		"0000",                    // attributes
		"00000000",                // last offset delta
		"0000018bcfe56800",        // base timestamp 1700000000000
		"0000018bcfe56800",        // max timestamp
		"ffffffffffffffff",        // producer id
		"ffff",                    // producer epoch
		"ffffffff",                // base sequence
		"00000001",                // count
		"10" + "00" + "00" + "00", // length 8, attributes, timestamp delta, offset delta
		"01",                      // null key
		"04" + "6869",             // value of 2 bytes: hi
		"00",                      // no headers
	}, "")
	raw, err := Build(Options{BaseOffset: 7, LeaderEpoch: 2}, []Record{{Timestamp: 1700000000000, Value: []byte("hi")}})
	if err != nil {
		t.Fatal(err)
	}
	// The checksum is CRC-32C (reversed polynomial 82f63b78), here bit by bit.
	crc := ^uint32(0)
	for _, c := range raw[21:] {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	if want := fmt.Sprintf(golden, fmt.Sprintf("%08x", ^crc)); hex.EncodeToString(raw) != want {
		t.Fatalf("got  %x\nwant %s", raw, want)
	}
}

func TestXerialSnappy(t *testing.T) {
	plain, err := Build(Options{}, testRecords())
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
	for rest := plain[HeaderSize:]; len(rest) > 0; {
		n := min(len(rest), 10000)
		block := snappy.Encode(nil, rest[:n])
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(block))), block...)
		rest = rest[n:]
	}
	got, err := decompress(Snappy, body, DecompressedMax)
	if err != nil || !bytes.Equal(got, plain[HeaderSize:]) {
		t.Fatalf("%v, %d bytes", err, len(got))
	}
	if _, err := decompress(Snappy, body[:len(body)-1], DecompressedMax); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("cut off: %v", err)
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	for codec := Gzip; codec <= Zstd; codec++ {
		raw, err := Build(Options{Codec: codec}, []Record{{Value: make([]byte, 1<<20)}})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range b.RecordsMax(1 << 16) {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v", codec, err)
			}
		}
	}
}

func TestBadBatches(t *testing.T) {
	good, err := Build(Options{}, testRecords())
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, value ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], value)
		return b
	}
	sealed := func(at int, value ...byte) []byte {
		b := change(at, value...)
		sealCRC(b)
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrShort},
		{"cut in the header", good[:60], ErrShort},
		{"cut in the records", good[:len(good)-1], ErrShort},
		{"magic 0", change(posMagic, 0), ErrOldFormat},
		{"magic 1, short", change(posMagic, 1)[:20], ErrOldFormat},
		{"magic 3", change(posMagic, 3), ErrCorrupt},
		{"length 0", change(posLength, 0, 0, 0, 0), ErrCorrupt},
		{"negative length", change(posLength, 0xff), ErrCorrupt},
		{"length of a gigabyte", change(posLength, 0x40), ErrShort},
		{"negative base offset", change(posBaseOffset, 0xff), ErrCorrupt},
		{"offsets overflow", change(posBaseOffset, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ErrCorrupt},
		{"negative last offset delta", sealed(posLastOffsetDelta, 0x80), ErrCorrupt},
		{"one bit", change(len(good)-1, good[len(good)-1]^1), ErrCorrupt},
		{"codec 5", sealed(posAttributes+1, 5), ErrCodec},
		{"no records", sealed(posCount, 0, 0, 0, 0), ErrInvalid},
		{"negative count", sealed(posCount, 0xff), ErrInvalid},
		{"count and delta", sealed(posLastOffsetDelta, 0, 0, 0, 9), ErrInvalid},
		{"more records than bytes", sealed(posLastOffsetDelta, 0x00, 0x0f, 0xff, 0xff), ErrInvalid},
		{"producer id -2", sealed(posProducerID+7, 0xfe), ErrInvalid},
		{"producer without an epoch", sealed(posProducerID, 0, 0, 0, 0, 0, 0, 0, 5), ErrInvalid},
		{"transactional without a producer", sealed(posAttributes+1, attrTransactional), ErrInvalid},
		{"timestamp -2", sealed(posBaseTimestamp, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe), ErrInvalid},
	} {
		b, err := Parse(c.b)
		if err == nil {
			err = b.Validate()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestBadRecords(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"nothing", ""},
		{"length beyond the end", "\x7f"},
		{"negative length", "\x01"},
		{"varint without end", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"key beyond the record", "\x0c\x00\x00\x00\x7e\x01\x00"},
		{"headers of a billion", "\x14\x00\x00\x00\x01\x01\xfe\xff\xff\xff\x0f"},
		{"bytes after the headers", "\x0e\x00\x00\x00\x01\x01\x00\x00"},
		{"second record", "\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x00\x01\x01\x00"},
	} {
		b := Batch{Header: Header{Count: 1}, Raw: append(make([]byte, HeaderSize), c.body...)}
		var last error
		for _, err := range b.Records() {
			last = err
		}
		if !errors.Is(last, ErrCorrupt) {
			t.Errorf("%s: %v", c.name, last)
		}
	}
}

func TestSetters(t *testing.T) {
	raw, err := Build(Options{}, testRecords())
	if err != nil {
		t.Fatal(err)
	}
	SetOffset(raw, 1234567890123, 77)
	SetLogAppendTime(raw, 5000)
	b, err := Parse(raw)
	if err != nil || b.Validate() != nil || b.BaseOffset != 1234567890123 || b.LeaderEpoch != 77 || !b.IsLogAppendTime() || b.MaxTimestamp != 5000 {
		t.Fatalf("%+v %v", b.Header, err)
	}
	for r := range b.Records() {
		if r.Timestamp != 5000 {
			t.Fatalf("timestamp %d", r.Timestamp)
		}
	}
}

func TestAll(t *testing.T) {
	var data []byte
	for i := range 3 {
		var err error
		if data, err = Append(data, Options{BaseOffset: int64(10 * i)}, testRecords()); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for b, err := range All(data) {
		if err != nil || b.BaseOffset != int64(10*n) {
			t.Fatalf("batch %d: %+v %v", n, b.Header, err)
		}
		n++
	}
	for _, err := range All(data[:len(data)-1]) {
		if err != nil && !errors.Is(err, ErrShort) {
			t.Fatal(err)
		}
	}
	if n != 3 {
		t.Fatalf("%d batches", n)
	}
}

func FuzzBatch(f *testing.F) {
	for codec := None; codec <= Zstd; codec++ {
		raw, err := Build(Options{Codec: codec, Producer: &Producer{ID: 1}}, testRecords()[:3])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		sealCRC(b.Raw) // so that the fuzzer gets past the checksum
		b, err = Parse(b.Raw)
		if err != nil || b.Validate() != nil {
			return
		}
		var records []Record
		for r, err := range b.RecordsMax(1 << 20) {
			if err != nil {
				return
			}
			records = append(records, r)
		}
		if len(records) != int(b.Count) {
			t.Fatalf("%d records, the header says %d", len(records), b.Count)
		}
		again, err := Build(Options{}, records)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(again)
		if err != nil || c.Validate() != nil && c.BaseTimestamp >= NoTimestamp && c.MaxTimestamp >= NoTimestamp {
			t.Fatalf("built again: %v", err)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	raw, err := Build(Options{}, []Record{{Value: make([]byte, 64<<10)}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := Parse(raw)
		if err == nil {
			err = p.Validate()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
