package wire

import (
	"encoding/binary"
)

// Reader reads the fields of a request in wire order, for the APIs that are
// decoded by hand. What it returns are slices of its source. Reading beyond the end
// gives zero values, and an error from Err.
type Reader struct {
	c checker
}

// NewReader returns a reader of a request's body; flexible bodies have compact
// lengths and tagged fields (KIP-482).
func NewReader(body []byte, flexible bool) Reader {
	return Reader{checker{src: body, flexible: flexible, costMax: int64(len(body)+1) * tagBytes}}
}

// Err returns an error that wraps ErrMalformed when a read went wrong.
func (r *Reader) Err() error { return r.c.err }

// Int8 reads a byte.
func (r *Reader) Int8() int8 {
	if b := r.c.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

// Int16 reads two bytes.
func (r *Reader) Int16() int16 { return int16(r.c.int16()) }

// Int32 reads four bytes.
func (r *Reader) Int32() int32 { return int32(r.c.int32()) }

// Int64 reads eight bytes.
func (r *Reader) Int64() int64 {
	if b := r.c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// UUID reads sixteen bytes.
func (r *Reader) UUID() (id [16]byte) {
	copy(id[:], r.c.take(16))
	return id
}

// String reads a string; nil stands for null.
func (r *Reader) String() []byte {
	if r.c.flexible {
		return r.c.take0(int(r.c.uvarint()) - 1)
	}
	return r.c.take0(r.c.int16())
}

// Bytes reads bytes with their length; nil stands for null.
func (r *Reader) Bytes() []byte {
	if r.c.flexible {
		return r.c.take0(int(r.c.uvarint()) - 1)
	}
	return r.c.take0(r.c.int32())
}

// ArrayLen reads the length of an array, 0 for null. It is never more than the
// bytes that are left.
func (r *Reader) ArrayLen() int {
	var n int
	if r.c.flexible {
		n = int(r.c.uvarint()) - 1
	} else {
		n = r.c.int32()
	}
	if n > len(r.c.src) {
		r.c.fail("an array length that its size does not justify")
	}
	if r.c.err != nil {
		return 0
	}
	return max(n, 0)
}

// Tags skips tagged fields where the version has them.
func (r *Reader) Tags() {
	if r.c.flexible {
		r.c.tags()
	}
}

// take0 takes n bytes; -1 stands for null.
func (c *checker) take0(n int) []byte {
	if n == -1 || c.err != nil {
		return nil
	}
	b := c.take(n)
	if b == nil && c.err == nil {
		return []byte{}
	}
	return b
}

// EachTag calls fn for each tagged field where the version has them.
func (r *Reader) EachTag(fn func(tag uint32, value []byte)) {
	if !r.c.flexible {
		return
	}
	for range r.c.uvarint() {
		tag, size := r.c.uvarint(), r.c.uvarint()
		value := r.c.take(int(size))
		if r.c.err != nil {
			return
		}
		fn(uint32(tag), value)
	}
}
