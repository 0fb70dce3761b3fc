package batch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func settings(change func(*Settings)) *Settings {
	s := &Settings{
		Agent: "a", Host: "h", Topic: "t", Codec: "raw", Encoding: "utf-8", LineMax: 1000, Compression: "lz4",
		Fields: []Field{{"env", "prod"}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func source(t testing.TB, s *Settings) *Source {
	t.Helper()
	f, err := NewFramer(s)
	if err != nil {
		t.Fatal(err)
	}
	return NewSource(1, "a-1", "/x.log", 2, s, f)
}

// scan reads data as a file that grows in steps, into batches of at most limit bytes.
func scan(t testing.TB, s *Settings, data []byte, steps []int, limit int) []*Batch {
	t.Helper()
	src := source(t, s)
	var sc Scanner
	var cursor Cursor
	batches := []*Batch{{}}
	emit := func(ev Event) bool {
		b := batches[len(batches)-1]
		if !b.Fits(src, len(ev.Value), limit) {
			b.SetTail(sc.Tail(ev.Start))
			b = &Batch{}
			batches = append(batches, b)
		}
		b.Add(src, ev, int64(1_000_000+len(batches)), false, 0)
		return true
	}
	for i, size := range append(slices.Clone(steps), len(data)) {
		end := EndOpen
		if i == len(steps) {
			end = EndFinal
		}
		for more := true; more; {
			var err error
			if more, err = sc.Scan(bytes.NewReader(data[:size]), src.Framer, &cursor, Range{Size: int64(size), End: end}, emit); err != nil {
				t.Fatal(err)
			}
		}
	}
	if int(cursor.Pos) != len(data) {
		t.Fatalf("%d of %d bytes were read", cursor.Pos, len(data))
	}
	return batches
}

// encode is the batch as sarama would send it.
func encode(t testing.TB, b *Batch) []byte {
	t.Helper()
	var out bytes.Buffer
	rb := b.Encode(5, 1, 7)
	for _, r := range rb.Records {
		fmt.Fprintf(&out, "%d %d %q %d", r.TimestampDelta, r.OffsetDelta, r.Value, rb.FirstTimestamp.UnixMilli())
		for _, h := range r.Headers {
			fmt.Fprintf(&out, " %s=%s", h.Key, h.Value)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func values(t testing.TB, batches []*Batch) []string {
	t.Helper()
	var out []string
	for _, b := range batches {
		if b.Len() == 0 {
			continue
		}
		for _, r := range b.Encode(0, 0, 0).Records {
			out = append(out, string(r.Value))
		}
	}
	return out
}

func TestFraming(t *testing.T) {
	long := strings.Repeat("x", 5000)
	java := func(s *Settings) {
		s.Multiline = Multiline{Pattern: `^\s|^Caused`, Match: "after", LinesMax: 4}
	}
	before := func(s *Settings) { s.Multiline = Multiline{Pattern: `\\$`, Match: "before", LinesMax: 10} }
	for _, c := range []struct {
		name   string
		change func(*Settings)
		in     string
		want   []string
	}{
		{"lines", nil, "a\nb\r\n\n\r\nc", []string{"a", "b", "", "", "c"}},
		{"CR alone stays", nil, "a\rb\nc\r", []string{"a\rb", "c\r"}},
		{"NUL and bad UTF-8", nil, "\x00\n\xff\xfe\n", []string{"\x00", "\xff\xfe"}},
		{"cut", nil, long + "\nb\n" + long, []string{long[:1000], "b", long[:1000]}},
		{"cut not within a rune", func(s *Settings) { s.LineMax = 16 }, "0123456789abcdeé\n", []string{"0123456789abcde"}},
		{"cut of bad UTF-8 at the byte", func(s *Settings) { s.LineMax = 16 }, strings.Repeat("\x80", 20) + "\n", []string{strings.Repeat("\x80", 16)}},
		{"joined", java, "one\n at a\n at b\ntwo\nCaused by\nthree", []string{"one\n at a\n at b", "two\nCaused by", "three"}},
		{"joined, CRLF", java, "one\r\n at a\r\ntwo\r\n", []string{"one\n at a", "two"}},
		{"joined, too many lines", java, "1\n 2\n 3\n 4\n 5\n 6\n", []string{"1\n 2\n 3\n 4", " 5\n 6"}},
		{"joined, too long", java, "1\n " + long[:600] + "\n " + long[:600] + "\n", []string{"1\n " + long[:600], " " + long[:600]}},
		{"joined with a long line", java, "1\n" + long + "\n 2\n", []string{"1", long[:1000], " 2"}},
		{"joined before", before, "a\\\nb\\\nc\nd\n", []string{"a\\\nb\\\nc", "d"}},
		{"joined, negated", func(s *Settings) {
			s.Multiline = Multiline{Pattern: `^\d`, Negate: true, Match: "after", LinesMax: 10}
		}, "1\nx\ny\n2\n", []string{"1\nx\ny", "2"}},
		{"latin1", func(s *Settings) { s.Encoding = "latin1" }, "caf\xe9\r\nb\n", []string{"café", "b"}},
		{"utf-16be", func(s *Settings) { s.Encoding = "utf-16be" }, "\xfe\xff\x00a\x00\r\x00\n\x0a\x00\x00\n\x00b", []string{"a", "\u0a00", "b"}},
		{"shift_jis", func(s *Settings) { s.Encoding = "shift_jis" }, "\x83\x5c\n\x93\xfa\n", []string{"ソ", "日"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var steps []int
				for range rng.IntN(5) {
					steps = append(steps, rng.IntN(len(c.in)+1))
				}
				slices.Sort(steps)
				got := values(t, scan(t, settings(c.change), []byte(c.in), steps, 1<<20))
				if !slices.Equal(got, c.want) {
					t.Fatalf("growing at %v: got %.300q, want %.300q", steps, got, c.want)
				}
			}
		})
	}
}

// TestFlush ends a multiline event, but not a line that has no end.
func TestFlush(t *testing.T) {
	s := settings(func(s *Settings) { s.Multiline = Multiline{Pattern: `^\s`, Match: "after", LinesMax: 9} })
	src := source(t, s)
	data := []byte("one\n two\nthr")
	var got []string
	var sc Scanner
	var cursor Cursor
	if _, err := sc.Scan(bytes.NewReader(data), src.Framer, &cursor, Range{Size: int64(len(data)), End: EndFlush}, func(ev Event) bool {
		got = append(got, string(ev.Value))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"one\n two"}) || cursor.Pos != 9 {
		t.Fatalf("got %q, position %d", got, cursor.Pos)
	}
}

func variants() map[string]*Settings {
	return map[string]*Settings{
		"raw":       settings(nil),
		"long":      settings(func(s *Settings) { s.LineMax = 300 }),
		"ecs":       settings(func(s *Settings) { s.Codec = "ecs" }),
		"ecs short": settings(func(s *Settings) { s.Codec, s.LineMax = "ecs", 400 }),
		"multiline": settings(func(s *Settings) { s.Multiline = Multiline{Pattern: `^[a-m]`, Match: "after", LinesMax: 5} }),
		"before":    settings(func(s *Settings) { s.Multiline = Multiline{Pattern: `[a-m]$`, Match: "before", LinesMax: 5} }),
		"utf-16":    settings(func(s *Settings) { s.Encoding = "utf-16le" }),
		"gbk":       settings(func(s *Settings) { s.Encoding = "gbk" }),
	}
}

// randomText has short and long lines, with and without CR, and odd bytes.
func randomText(rng *rand.Rand, n int) []byte {
	var out []byte
	for len(out) < n {
		size := rng.IntN(60)
		if rng.IntN(20) == 0 {
			size = rng.IntN(3000)
		}
		if rng.IntN(200) == 0 {
			size = rng.IntN(400_000)
		}
		for range size {
			if c := byte(rng.IntN(256)); c != '\n' && rng.IntN(10) == 0 {
				out = append(out, c)
			} else {
				out = append(out, byte('a'+rng.IntN(26)))
			}
		}
		if rng.IntN(5) == 0 {
			out = append(out, '\r')
		}
		out = append(out, '\n')
		if rng.IntN(4) == 0 {
			out = append(out, 0) // a line end of UTF-16
		}
	}
	return out[:n]
}

// TestRebuild makes every batch again from its plan, and compares all of its
// records; with one byte changed it is refused.
func TestRebuild(t *testing.T) {
	for name, s := range variants() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				rng := rand.New(rand.NewPCG(seed, 2))
				data := randomText(rng, 1+rng.IntN(900_000))
				steps := []int{rng.IntN(len(data)), rng.IntN(len(data)), rng.IntN(len(data))}
				slices.Sort(steps)
				rebuildAll(t, s, data, scan(t, s, data, steps, 5000+rng.IntN(100_000)))
			}
		})
	}
}

func rebuildAll(t *testing.T, s *Settings, data []byte, batches []*Batch) {
	t.Helper()
	rebuildSame(t, s, data, batches)
	var sc Scanner
	b := batches[len(batches)/2]
	seg := &b.Segments[0]
	changed := bytes.Clone(data)
	changed[seg.Start] ^= 0x55
	if err := sc.Rebuild(&Batch{}, source(t, s), seg, bytes.NewReader(changed)); s.Codec == "raw" && s.Encoding == "utf-8" && err == nil {
		t.Fatal("changed bytes are taken for the original")
	}
	if err := sc.Rebuild(&Batch{}, source(t, s), seg, bytes.NewReader(data[:seg.End-1])); err == nil {
		t.Fatal("missing bytes are not noticed")
	}
}

// rebuildSame makes the batches again and compares their records.
func rebuildSame(t *testing.T, s *Settings, data []byte, batches []*Batch) {
	t.Helper()
	var sc Scanner
	for _, b := range batches {
		p := b.Plan()
		again, src := &Batch{}, source(t, s)
		for i := range p.Segments {
			if err := sc.Rebuild(again, src, &p.Segments[i], bytes.NewReader(data)); err != nil {
				t.Fatalf("segment %+v: %v", p.Segments[i], err)
			}
		}
		if !bytes.Equal(encode(t, b), encode(t, again)) {
			t.Fatalf("batch [%d,%d) is another one", p.Segments[0].Start, p.Segments[0].End)
		}
		if tail := p.Segments[0]; tail.TailLen > 0 && TailSum(data[tail.End-int64(tail.TailLen):tail.End]) != tail.TailSum {
			t.Fatalf("the tail of %+v is not that of the file", tail)
		}
	}
}

func TestSplitAndRebuild(t *testing.T) {
	for name, s := range variants() {
		data := randomText(rand.New(rand.NewPCG(3, 3)), 200_000)
		for _, b := range scan(t, s, data, nil, 50_000) {
			if b.Len() < 2 {
				continue
			}
			first, second := b.Split()
			if got := append(values(t, []*Batch{first}), values(t, []*Batch{second})...); !slices.Equal(got, values(t, []*Batch{b})) {
				t.Fatalf("%s: the halves hold other records", name)
			}
			rebuildAll(t, s, data, []*Batch{first, second})
		}
	}
}

func TestShrinkAndRebuild(t *testing.T) {
	data := append(bytes.Repeat([]byte("é\x01"), 2000), '\n')
	for _, codecName := range []string{"raw", "ecs"} {
		s := settings(func(s *Settings) { s.LineMax, s.Codec = 100_000, codecName })
		b := scan(t, s, data, nil, 1<<20)[0]
		before := b.entries[0].valueLen
		for b.Shrink() {
			if b.entries[0].valueLen >= before {
				t.Fatalf("%s: %d bytes after %d", codecName, b.entries[0].valueLen, before)
			}
			before = b.entries[0].valueLen
			if codecName == "raw" {
				rebuildAll(t, s, data, []*Batch{b})
			}
		}
		if before > 700 {
			t.Fatalf("%s: it stopped at %d bytes", codecName, before)
		}
	}
}

func TestManyFilesInABatch(t *testing.T) {
	s := settings(nil)
	a, c := source(t, s), source(t, s)
	c.File = 9
	b := &Batch{}
	add := func(src *Source, start int64, text string) {
		b.Add(src, Event{Start: start, End: start + int64(len(text)) + 1, Value: []byte(text)}, start, false, 0)
	}
	add(a, 0, "a0")
	add(a, 3, "a1")
	add(c, 0, "c0")
	add(a, 6, "a2")
	b.Break()
	add(a, 9, "a3")
	if len(b.Segments) != 4 || b.Segments[0].Records != 2 || b.Segments[2].Start != 6 {
		t.Fatalf("segments: %+v", b.Segments)
	}
	for i := 1; i < len(b.Segments); i++ {
		if b.Segments[i].TimeMs < b.Segments[i-1].TimeMs {
			t.Fatal("time goes back within a batch")
		}
	}
}

// TestCodecs maps each name to its codec.
func TestCodecs(t *testing.T) {
	for _, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		var c sarama.CompressionCodec
		if err := c.UnmarshalText([]byte(name)); err != nil || codec(name) != c {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownEncoding(t *testing.T) {
	if _, err := NewFramer(settings(func(s *Settings) { s.Encoding = "replacement" })); err == nil {
		t.Fatal("the replacement encoding is taken")
	}
}

// TestCheckDropsBytes is a file that is truncated while it is read.
func TestCheckDropsBytes(t *testing.T) {
	src := source(t, settings(nil))
	var sc Scanner
	var cursor Cursor
	gone := errors.New("gone")
	_, err := sc.Scan(strings.NewReader("a\n"), src.Framer, &cursor, Range{Size: 2, Check: func(int64) error { return gone }}, func(Event) bool {
		t.Error("bytes are used that the check refused")
		return true
	})
	if !errors.Is(err, gone) || cursor.Pos != 0 {
		t.Fatalf("got %v, position %d", err, cursor.Pos)
	}
}

// FuzzRebuild frames any bytes, and makes the same batches again.
func FuzzRebuild(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), uint8(0), uint16(3))
	f.Add([]byte("\xff\xfea\x00\n\x00"), uint8(6), uint16(4))
	f.Fuzz(func(t *testing.T, data []byte, which uint8, step uint16) {
		if len(data) == 0 {
			return
		}
		all := variants()
		names := []string{"raw", "long", "ecs", "ecs short", "multiline", "before", "utf-16", "gbk"}
		s := all[names[int(which)%len(names)]]
		steps := []int{int(step) % len(data)}
		batches := scan(t, s, data, steps, 2000)
		if batches[0].Len() > 0 {
			rebuildSame(t, s, data, batches)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	s := settings(nil)
	line := strings.Repeat("x", 150) + "\n"
	data := []byte(strings.Repeat(line, 5000))
	src := source(b, s)
	var sc Scanner
	var out Batch
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		var cursor Cursor
		for more := true; more; {
			var err error
			if more, err = sc.Scan(bytes.NewReader(data), src.Framer, &cursor, Range{Size: int64(len(data))}, func(ev Event) bool {
				out.Add(src, ev, 1, false, 0)
				return true
			}); err != nil {
				b.Fatal(err)
			}
		}
		out.Encode(1, 0, 0)
	}
	b.ReportMetric(float64(b.N)*5000/b.Elapsed().Seconds(), "lines/s")
}
