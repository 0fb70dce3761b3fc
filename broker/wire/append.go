package wire

import "encoding/binary"

// AppendString appends a string with its length in the form of the version.
func AppendString(b []byte, s string, flexible bool) []byte {
	if flexible {
		b = binary.AppendUvarint(b, uint64(len(s)+1))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	}
	return append(b, s...)
}

// AppendNullableString appends a string, or null for nil.
func AppendNullableString(b []byte, s *string, flexible bool) []byte {
	switch {
	case s != nil:
		return AppendString(b, *s, flexible)
	case flexible:
		return append(b, 0)
	}
	return binary.BigEndian.AppendUint16(b, 0xffff)
}

// AppendArrayLen appends the length of an array or of bytes; -1 is null.
func AppendArrayLen(b []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(b, uint64(n+1))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// AppendTags appends an empty set of tagged fields where the version has them.
func AppendTags(b []byte, flexible bool) []byte {
	if flexible {
		return append(b, 0)
	}
	return b
}
