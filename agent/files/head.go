package files

import (
	"bytes"
	"errors"
	"hash/fnv"
	"io"
)

// HeadMax is the largest number of first bytes that are compared.
const HeadMax = 1024

// Head are the first bytes of a file's content. They grow with the file up to
// HeadMax and never change while it is the same content.
type Head []byte

// ReadHead returns up to n bytes at base; fewer when the file is shorter.
func ReadHead(r io.ReaderAt, base int64, n int) (Head, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, base)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:got], nil
}

// Digest of the head, as it is kept in the registry.
func (h Head) Digest() uint64 {
	d := fnv.New64a()
	d.Write(h)
	return d.Sum64()
}

// Matches reports whether the first n bytes of h have the digest sum.
func (h Head) Matches(n int, sum uint64) bool {
	return n <= len(h) && h[:n].Digest() == sum
}

// Begins reports whether h begins other or other begins h.
func (h Head) Begins(other Head) bool {
	n := min(len(h), len(other))
	return bytes.Equal(h[:n], other[:n])
}
