// Package recordvalue reads the values of the records that coordinators keep in
// their topics, as Apache Kafka's schemas write them, in either form: with plain
// lengths, or flexible with compact lengths and tagged fields (KIP-482).
//
// What a read does is bounded by the bytes that are there. A count that they cannot
// justify, of elements or of tagged fields, is an error, not a loop: a log is read at
// each start, and may be damaged.
package recordvalue

import (
	"errors"
	"math"

	"github.com/twmb/franz-go/pkg/kbin"
)

// ErrForm is what a value that does not have the form of its schema gives.
var ErrForm = errors.New("record does not have the form of its schema")

// Reader reads the fields of a value in order. A read that fails gives zero values; Err says so at the end.
type Reader struct {
	kbin.Reader
	flexible bool
	bad      bool
}

// New returns a reader of src.
func New(src []byte, flexible bool) Reader {
	return Reader{Reader: kbin.Reader{Src: src}, flexible: flexible}
}

// Fail makes the value one without the form of its schema.
func (r *Reader) Fail() { r.bad = true }

// Failed reports whether a read has failed.
func (r *Reader) Failed() bool { return r.bad || !r.Ok() }

// Err returns an error that wraps ErrForm when a read failed. Bytes that are left are none: Apache
// Kafka leaves them alone too.
func (r *Reader) Err() error {
	if err := r.Complete(); err != nil || r.bad {
		return errors.Join(ErrForm, err)
	}
	return nil
}

// Length reads the length of an array whose elements take elementBytes at least; null is 0.
func (r *Reader) Length(elementBytes int) int {
	var n int
	if r.flexible {
		n = int(r.CompactArrayLen())
	} else {
		n = int(r.ArrayLen())
	}
	if n > len(r.Src)/elementBytes {
		r.bad = true
		return 0
	}
	return max(n, 0)
}

// Tags reads tagged fields, which only flexible values have, and gives each to on, which may be nil.
func (r *Reader) Tags(on func(tag uint32, b []byte)) {
	if !r.flexible {
		return
	}
	count := r.Uvarint()
	if uint64(count) > min(uint64(len(r.Src))/2, math.MaxUint16) {
		r.bad = true
		return
	}
	for range count {
		tag, size := r.Uvarint(), r.Uvarint()
		if uint64(size) > uint64(len(r.Src)) {
			r.bad = true
			return
		}
		if b := r.Span(int(size)); on != nil {
			on(tag, b)
		}
	}
}
