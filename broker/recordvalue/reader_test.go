package recordvalue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"
)

// TestLengthsAreJustifiedByTheBytes: an array has as many elements as the bytes behind its
// length can hold, whatever the length says; null is an array without elements.
func TestLengthsAreJustifiedByTheBytes(t *testing.T) {
	for _, c := range []struct {
		claimed, rest, elementBytes, want int
		ok                                bool
	}{
		{-1, 0, 4, 0, true},
		{0, 0, 4, 0, true},
		{2, 8, 4, 2, true},
		{2, 9, 4, 2, true},
		{3, 9, 4, 0, false},
		{3, 3, 1, 3, true},
		{4, 3, 1, 0, false},
		{math.MaxInt32, 100, 1, 0, false},
	} {
		for _, flexible := range []bool{false, true} {
			length := binary.BigEndian.AppendUint32(nil, uint32(int32(c.claimed)))
			if flexible {
				length = binary.AppendUvarint(nil, uint64(uint32(c.claimed+1)))
			}
			r := New(append(length, make([]byte, c.rest)...), flexible)
			n := r.Length(c.elementBytes)
			r.Span(c.rest)
			if n != c.want || r.Failed() == c.ok || (r.Err() == nil) != c.ok {
				t.Errorf("%+v, flexible %v: %d elements, failed %v, %v", c, flexible, n, r.Failed(), r.Err())
			}
		}
	}
}

// TestTagsAreReadAndBounded: each tagged field is given with its bytes; a count or a size
// that the bytes do not hold ends the value without a loop over what is not there.
func TestTagsAreReadAndBounded(t *testing.T) {
	uvarints := func(all ...uint64) (b []byte) {
		for _, v := range all {
			b = binary.AppendUvarint(b, v)
		}
		return b
	}
	fields := append(append(uvarints(3, 7, 2), "ab"...), uvarints(9, 0, 300, 1, 'c')...)
	var got string
	r := New(append(fields, 1), true)
	r.Tags(func(tag uint32, b []byte) { got += fmt.Sprintf("%d=%q ", tag, b) })
	if got != `7="ab" 9="" 300="c" ` || r.Failed() || len(r.Src) != 1 {
		t.Errorf("fields %s, failed %v, %d bytes left", got, r.Failed(), len(r.Src))
	}
	r = New(fields, true)
	if r.Tags(nil); r.Err() != nil {
		t.Errorf("without a reader of the fields: %v", r.Err())
	}
	for what, b := range map[string][]byte{
		"more fields than bytes":      uvarints(3, 1, 0, 2, 0),
		"four billion fields":         uvarints(math.MaxUint32, 1, 0),
		"a field that ends early":     append(uvarints(1, 5, 4), "abc"...),
		"a field of four billion":     append(uvarints(1, 5, math.MaxUint32), "abc"...),
		"a field of more than an int": append(uvarints(1, 5, math.MaxInt32+1), "abc"...),
		"no count":                    {},
	} {
		calls := 0
		r := New(b, true)
		r.Tags(func(uint32, []byte) { calls++ })
		if calls > 0 || !r.Failed() || !errors.Is(r.Err(), ErrForm) {
			t.Errorf("%s: %d fields, failed %v, %v", what, calls, r.Failed(), r.Err())
		}
	}
}

// TestOtherValuesHaveNoTags: what is not flexible is read no further.
func TestOtherValuesHaveNoTags(t *testing.T) {
	r := New([]byte{1, 0, 0}, false)
	r.Tags(func(uint32, []byte) { t.Error("a tagged field in a value that is not flexible") })
	if r.Failed() || len(r.Src) != 3 {
		t.Errorf("failed %v, %d bytes left", r.Failed(), len(r.Src))
	}
}

// TestAValueIsReadAsKafkaReadsIt: one that ends early, or that its reader refuses, is an
// error; what a newer schema has put behind the known fields is not.
func TestAValueIsReadAsKafkaReadsIt(t *testing.T) {
	for left, ok := range map[int]bool{-1: false, 0: true, 1: true} {
		r := New(make([]byte, 2+left), false)
		if r.Int16(); r.Failed() == ok || (r.Err() == nil) != ok || !ok && !errors.Is(r.Err(), ErrForm) {
			t.Errorf("%d bytes left: failed %v, %v", left, r.Failed(), r.Err())
		}
		if r.Fail(); !r.Failed() || !errors.Is(r.Err(), ErrForm) {
			t.Errorf("refused by its reader: %v", r.Err())
		}
	}
}
