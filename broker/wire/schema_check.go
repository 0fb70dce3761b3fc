package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is returned for a request that does not have the shape of its API
// and version, or that claims more than its bytes justify.
var ErrMalformed = errors.New("malformed request")

// nullMarker is -1 in place of a struct. Kafka takes each negative number as null, kmsg this one only.
const nullMarker = 0xff

// tagBytes is the memory that kmsg takes for one unknown tagged field.
const tagBytes = 64

// checker walks an encoded request without allocating. The first violation
// makes it fail for good.
type checker struct {
	src      []byte
	version  int16
	flexible bool
	cost     int64
	costMax  int64
	err      error
}

// check walks body and returns the memory that decoding it will take. It fails
// with ErrMalformed when a length is not justified by the bytes that follow, or
// when that memory is more than costMax. Bytes after the last field are left
// alone, as Apache Kafka does: librdkafka 2.12 sends three of them with Metadata.
// In body every null is made one that kmsg takes for null as well, so that it reads what was walked.
func (s *schema) check(body []byte, version int16, flexible bool, costMax int64) (int64, error) {
	c := checker{src: body, version: version, flexible: flexible, costMax: costMax}
	c.walk(s)
	return c.cost, c.err
}

func (c *checker) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s, with %d bytes left", ErrMalformed, what, len(c.src))
	}
	c.src = nil
}

func (c *checker) walk(s *schema) {
	for i := range s.fields {
		f := &s.fields[i]
		if c.err != nil {
			return
		}
		if c.version >= f.from && c.version <= f.to {
			c.field(f)
		}
	}
	if c.flexible && !s.plain {
		c.tags()
	}
}

func (c *checker) field(f *field) {
	switch f.kind {
	case kindFixed:
		c.skip(f.width)
	case kindString:
		c.string(false)
	case kindNullableString:
		c.string(true)
	case kindBytes:
		c.bytes(f.null.has(c.version))
	case kindArray:
		c.array(f)
	case kindStruct:
		c.walk(f.elem)
	case kindNullableStruct:
		marker := c.take(1)
		switch {
		case marker == nil:
		case int8(marker[0]) < 0:
			marker[0] = nullMarker
		default:
			c.spend(f.elemBytes)
			c.walk(f.elem)
		}
	}
}

func (c *checker) spend(n int64) {
	if c.cost += n; c.cost > c.costMax {
		c.fail("more elements than its size justifies")
	}
}

func (c *checker) take(n int) []byte {
	if n < 0 || n > len(c.src) {
		c.fail("a length that goes beyond its end")
		return nil
	}
	b := c.src[:n]
	c.src = c.src[n:]
	return b
}

func (c *checker) skip(n int) { c.take(n) }

// uvarint reads at most five bytes, as Kafka does.
func (c *checker) uvarint() int64 {
	var x uint64
	for i := range 5 {
		b := c.take(1)
		if b == nil {
			return 0
		}
		x |= uint64(b[0]&0x7f) << (7 * i)
		if b[0] < 0x80 {
			if x > 1<<32-1 {
				break
			}
			return int64(x)
		}
	}
	c.fail("a varint that is too long")
	return 0
}

func (c *checker) int16() int {
	if b := c.take(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (c *checker) int32() int {
	if b := c.take(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// length reads that of a string, of bytes or of an array. It reports false for null, and for
// a failure: also that of a null where none may be. Kafka takes each negative number as null.
func (c *checker) length(wide, nullable bool) (n int, ok bool) {
	switch {
	case c.flexible:
		n = int(c.uvarint()) - 1
	case wide:
		n = c.int32()
	default:
		n = c.int16()
	}
	if n < 0 && !nullable {
		c.fail("a null where none may be")
	}
	return n, c.err == nil && n >= 0
}

func (c *checker) string(nullable bool) {
	if n, ok := c.length(false, nullable); ok {
		c.spend(int64(n))
		c.skip(n)
	}
}

func (c *checker) bytes(nullable bool) {
	if n, ok := c.length(true, nullable); ok {
		c.skip(n)
	}
}

func (c *checker) array(f *field) {
	n, ok := c.length(true, f.null.has(c.version))
	if !ok {
		return
	}
	if n > len(c.src) {
		c.fail("an array length that its size does not justify")
		return
	}
	c.spend(int64(n) * f.elemBytes)
	if f.elem.plain && f.elem.fields[0].kind == kindFixed {
		c.skip(n * f.elem.fields[0].width)
		return
	}
	for range n {
		if c.err != nil {
			return
		}
		c.walk(f.elem)
	}
}

func (c *checker) tags() {
	n := c.uvarint()
	if n > int64(len(c.src)/2) {
		c.fail("more tagged fields than its size justifies")
		return
	}
	for range n {
		if c.err != nil {
			return
		}
		c.uvarint()
		size := c.uvarint()
		c.spend(tagBytes)
		c.skip(int(size))
	}
}
