package kafkadir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// UUID is Kafka's 16-byte id.
type UUID [16]byte

// errRecordBytes is what bytes that do not parse give.
var errRecordBytes = errors.New("metadata record does not parse")

// codec walks over the fields of a record in the flexible encoding of Kafka's
// messages (KIP-482). It reads them from b or appends them to b: one list of
// fields per record serves both. After an error nothing more is read.
type codec struct {
	b       []byte
	writing bool
	version int16
	err     error
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", errRecordBytes, fmt.Sprintf(format, args...))
	}
	c.b = nil
}

// take returns the next n bytes, which alias b; nil after an error.
func (c *codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > len(c.b) {
		c.fail("%d bytes wanted, %d are left", n, len(c.b))
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *codec) uvarint() uint32 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 || v > math.MaxUint32 {
		c.fail("a length or tag is cut off or too large")
		return 0
	}
	c.b = c.b[n:]
	return uint32(v)
}

func (c *codec) putUvarint(v int) { c.b = binary.AppendUvarint(c.b, uint64(v)) }

func (c *codec) int8(v *int8) {
	if c.writing {
		c.b = append(c.b, byte(*v))
	} else if b := c.take(1); b != nil {
		*v = int8(b[0])
	}
}

func (c *codec) bool(v *bool) {
	var n int8
	if *v {
		n = 1
	}
	c.int8(&n)
	*v = n != 0
}

func (c *codec) int16(v *int16) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint16(c.b, uint16(*v))
	} else if b := c.take(2); b != nil {
		*v = int16(binary.BigEndian.Uint16(b))
	}
}

func (c *codec) uint16(v *uint16) {
	n := int16(*v)
	c.int16(&n)
	*v = uint16(n)
}

func (c *codec) int32(v *int32) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint32(c.b, uint32(*v))
	} else if b := c.take(4); b != nil {
		*v = int32(binary.BigEndian.Uint32(b))
	}
}

func (c *codec) int64(v *int64) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint64(c.b, uint64(*v))
	} else if b := c.take(8); b != nil {
		*v = int64(binary.BigEndian.Uint64(b))
	}
}

func (c *codec) float64(v *float64) {
	n := int64(math.Float64bits(*v))
	c.int64(&n)
	*v = math.Float64frombits(uint64(n))
}

func (c *codec) uuid(v *UUID) {
	if c.writing {
		c.b = append(c.b, v[:]...)
	} else if b := c.take(len(v)); b != nil {
		copy(v[:], b)
	}
}

// nullableBytes are compact: the length plus one, 0 for null. Bytes that were
// read are a copy.
func (c *codec) nullableBytes(v *[]byte) {
	if c.writing {
		if *v == nil {
			c.putUvarint(0)
			return
		}
		c.putUvarint(len(*v) + 1)
		c.b = append(c.b, *v...)
		return
	}
	*v = nil
	if n := c.uvarint(); n > 0 {
		if b := c.take(int(n - 1)); b != nil {
			*v = append([]byte{}, b...)
		}
	}
}

func (c *codec) bytes(v *[]byte) {
	if c.writing && *v == nil {
		*v = []byte{}
	}
	if c.nullableBytes(v); *v == nil {
		c.fail("null where bytes must be")
	}
}

func (c *codec) nullableString(v **string) {
	var b []byte
	if *v != nil {
		b = append([]byte{}, **v...)
	}
	if c.nullableBytes(&b); c.writing {
		return
	}
	if *v = nil; b != nil {
		*v = new(string(b))
	}
}

func (c *codec) string(v *string) {
	p := v
	if c.nullableString(&p); p == nil {
		c.fail("null where a string must be")
		return
	}
	*v = *p
}

// array walks over the elements of a compact array; null is read as empty.
func array[T any](c *codec, v *[]T, element func(*T)) {
	if c.writing {
		c.putUvarint(len(*v) + 1)
		for i := range *v {
			element(&(*v)[i])
		}
		return
	}
	*v = nil
	n := int(c.uvarint()) - 1
	if n > len(c.b) { // an element has at least one byte
		c.fail("an array of %d elements in %d bytes", n, len(c.b))
		return
	}
	for range n {
		var e T
		if element(&e); c.err != nil {
			return
		}
		*v = append(*v, e)
	}
}

func (c *codec) int32s(v *[]int32) { array(c, v, c.int32) }
func (c *codec) uuids(v *[]UUID)   { array(c, v, c.uuid) }

// tag is an optional field of a record: written when present, skipped by
// readers that do not know it.
type tag struct {
	number  uint32
	present bool
	field   func()
}

// tags walks over the tagged fields that end a structure; they are given in the
// order of their numbers.
func (c *codec) tags(known ...tag) {
	if c.writing {
		c.putTags(known)
		return
	}
	for range c.uvarint() {
		number, size := c.uvarint(), c.uvarint()
		body := c.take(int(size))
		if c.err != nil {
			return
		}
		i := slices.IndexFunc(known, func(t tag) bool { return t.number == number })
		if i < 0 {
			continue
		}
		rest := c.b
		c.b = body
		known[i].field()
		if c.err == nil && len(c.b) > 0 {
			c.fail("%d bytes too many in tagged field %d", len(c.b), number)
		}
		if c.err == nil {
			c.b = rest
		}
	}
}

func (c *codec) putTags(known []tag) {
	known = slices.DeleteFunc(known, func(t tag) bool { return !t.present })
	c.putUvarint(len(known))
	for _, t := range known {
		outer := c.b
		c.b = nil
		t.field()
		body := c.b
		c.b = outer
		c.putUvarint(int(t.number))
		c.putUvarint(len(body))
		c.b = append(c.b, body...)
	}
}
