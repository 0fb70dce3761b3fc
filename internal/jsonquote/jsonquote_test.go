package jsonquote

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{"a\"b\\c", `"a\"b\\c"`},
		{"\n\t\r\x00\x1f\x7f", `"\n\t\r\u0000\u001f` + "\x7f" + `"`},
		{"grün 日本 🙂", `"grün 日本 🙂"`},
		{"a\xffb\xc3", "\"a\uFFFDb\uFFFD\""},
		{"\xe6\x97", "\"\uFFFD\uFFFD\""},
		{"\uFFFD", "\"\uFFFD\""},
	} {
		if got := string(Append([]byte("x"), c.in)); got != "x"+c.want {
			t.Errorf("%q: got %s, want %s", c.in, got[1:], c.want)
		}
		if got := string(Append(nil, []byte(c.in))); got != c.want {
			t.Errorf("bytes %q: got %s, want %s", c.in, got, c.want)
		}
	}
}

// FuzzAppend compares with what encoding/json reads back.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("a\xffb\xe6\x97 \"\\\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var back string
		if err := json.Unmarshal(Append(nil, in), &back); err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for _, r := range string(in) {
			want.WriteRune(r)
		}
		if back != want.String() {
			t.Fatalf("%q became %q", in, back)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	line := []byte(strings.Repeat(`10.1.2.3 - - "GET /über?q=1 HTTP/1.1" 200 5123 `, 5))
	dst := make([]byte, 0, 1024)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], line)
	}
}
