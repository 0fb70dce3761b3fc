package jsonscan

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzSkipAgreesWithEncodingJSON compares what is accepted, and strings, with encoding/json.
func FuzzSkipAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.5e3,-0,"x\u00e9\ud83d\ude00",true,null]}`, `[1,]`, `{"a":1,}`, `01`, `"\x"`, ` "a" `, `-`, `"\ud800"`, "\"\x01\"", `{"a" 1}`, `nul`, `1 2`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || bytes.Count(text, []byte{'['})+bytes.Count(text, []byte{'{'}) > DepthMax {
			return
		}
		var s Scanner
		s.Reset(text)
		_, err := s.Skip()
		if err == nil {
			err = s.End()
		}
		if valid := json.Valid(text); valid != (err == nil) {
			t.Fatalf("%q: valid is %v, but %v", text, valid, err)
		}
		var want string
		if json.Unmarshal(text, &want) == nil && len(text) > 0 && bytes.TrimSpace(text)[0] == '"' {
			s.Reset(text)
			if got, err := s.String(); err != nil || string(got) != want {
				t.Fatalf("%q is %q, want %q: %v", text, got, want, err)
			}
		}
	})
}

func TestDepthIsBounded(t *testing.T) {
	var s Scanner
	s.Reset(bytes.Repeat([]byte{'['}, 1<<20))
	if _, err := s.Skip(); err == nil {
		t.Error("a million brackets were read")
	}
}
