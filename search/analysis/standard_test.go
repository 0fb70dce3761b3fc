package analysis

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The expected words are what Elasticsearch's _analyze answers for the standard analyzer.
func TestStandardAnalyzer(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a:b 1:2 a.b 1.2 a.1 x'y 1,2 a,b a;b 1;2", []string{"a:b", "1", "2", "a.b", "1.2", "a", "1", "x'y", "1,2", "a", "b", "a", "b", "1;2"}},
		{"_ __ _foo_ foo_bar 3.x www.foo.com", []string{"_foo_", "foo_bar", "3", "x", "www.foo.com"}},
		{"10.0.0.1:8080 blk_-123 2024-01-02T03:04:05.678Z", []string{"10.0.0.1", "8080", "blk_", "123", "2024", "01", "02t03", "04", "05.678z"}},
		{"[ERROR] com.foo.Bar$Baz: k=v /usr/lib", []string{"error", "com.foo.bar", "baz", "k", "v", "usr", "lib"}},
		{"ünïcode ΑΒΓ 日本語 ひらがな カタカナ 한국어 ไทยภาษา é 😀 ١٢٣ a\u200db İ", []string{"ünïcode", "αβγ", "日", "本", "語", "ひ", "ら", "が", "な", "カタカナ", "한국어", "ไทยภาษา", "é", "😀", "١٢٣", "a\u200db", "i"}},
		{strings.Repeat("x", 300), []string{strings.Repeat("x", 255), strings.Repeat("x", 45)}},
		{"a\xffb", []string{"a", "b"}},
	} {
		if got := Terms(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func FuzzTokenizer(f *testing.F) {
	f.Add([]byte("a:b 1:2 _x_ 日本 カタカナ"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var tok Tokenizer
		tok.Reset(text)
		end := 0
		for word, ok := tok.Next(); ok; word, ok = tok.Next() {
			if len(word) == 0 || tok.Start < end || tok.End <= tok.Start || tok.End > len(text) {
				t.Fatalf("word %q at %d to %d of %q", word, tok.Start, tok.End, text)
			}
			if utf8.Valid(text) && !utf8.Valid(word) {
				t.Fatalf("word %q of %q is no UTF-8", word, text)
			}
			end = tok.End
		}
	})
}

func BenchmarkTokenizer(b *testing.B) {
	text := []byte(`2026-11-01 00:00:00.123 INFO dfs.DataNode$PacketResponder: Received block blk_123456789012345 of size 67108864 from /10.250.12.34`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var t Tokenizer
	for b.Loop() {
		t.Reset(text)
		for _, ok := t.Next(); ok; _, ok = t.Next() {
		}
	}
}
