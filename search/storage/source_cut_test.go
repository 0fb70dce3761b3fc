package storage

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/millrace/millrace/search/column"
)

func textColumn(values ...string) *column.Column {
	b := column.NewBuilder(column.Bytes)
	for _, v := range values {
		b.AppendBytes(0, []byte(v))
	}
	return b.View(1)
}

// checkCut cuts values out of a source and puts them back.
func checkCut(t *testing.T, source []byte, values ...string) []byte {
	t.Helper()
	var columns []*column.Column
	for _, v := range values {
		columns = append(columns, textColumn(v))
	}
	c := cutter{columns: columns}
	short := c.cut(nil, source, 0)
	whole, err := restore(nil, short, func(i int) ([]byte, error) { return []byte(values[i]), nil })
	if err != nil || !bytes.Equal(whole, source) {
		t.Fatalf("%q with %q cut is %q, and restored %q: %v", source, values, short, whole, err)
	}
	return short
}

func TestSourcesAreRestored(t *testing.T) {
	long := `10.0.0.1 - - "GET /a?b=<c>&d HTTP/1.1" 200 \ tab	` + "\u2028 é 日本 \x01 end"
	plain, err := json.Marshal(map[string]any{"message": long, "again": long})
	if err != nil {
		t.Fatal(err)
	}
	var noHTML bytes.Buffer
	enc := json.NewEncoder(&noHTML)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"message": long}); err != nil {
		t.Fatal(err)
	}
	if short := checkCut(t, plain, long); len(short) > len(plain)-len(long) {
		t.Errorf("nothing was cut out of %s", plain)
	}
	if short := checkCut(t, noHTML.Bytes(), long); len(short) > 20 {
		t.Errorf("nothing was cut out: %q", short)
	}
	checkCut(t, []byte(`{"a":"0123456789abcdefg","b":"0123456789abcdef"}`), "0123456789abcdef", "0123456789abcdefg", "0123456789abcdefgh")
	checkCut(t, []byte(`{"a":"0123456789abcdef0123456789abcdef"}`), "0123456789abcdef", "0123456789abcdef", "6789abcdef0123456")
	checkCut(t, []byte(`{"a":"\u0030123456789abcdefg"}`), "0123456789abcdefg")
	checkCut(t, []byte(`{}`), "0123456789abcdefg")
}

func FuzzSourcesAreRestored(f *testing.F) {
	f.Add([]byte(`{"m":"hello world, hello world"}`), "hello world, hello world", "hello world, hel")
	f.Add([]byte(`{"m":"\"quoted text\" \\ and more"}`), `"quoted text" \ and more`, "x")
	f.Fuzz(func(t *testing.T, source []byte, a, b string) {
		if !json.Valid(source) {
			return
		}
		checkCut(t, source, a, b)
	})
}
