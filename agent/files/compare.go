package files

import (
	"bytes"
	"errors"
	"io"
)

// compareBlock is how many bytes of each file are compared at once.
const compareBlock = 64 << 10

// FirstDifference returns the first offset, between from and until, at which
// two files differ, or until. A file that ends earlier differs at its end.
func FirstDifference(a, b io.ReaderAt, from, until int64) (int64, error) {
	left, right := make([]byte, compareBlock), make([]byte, compareBlock)
	for from < until {
		n := int(min(compareBlock, until-from))
		got, err := readBoth(a, b, left[:n], right[:n], from)
		if err != nil {
			return from, err
		}
		if !bytes.Equal(left[:got], right[:got]) {
			for i := range got {
				if left[i] != right[i] {
					return from + int64(i), nil
				}
			}
		}
		from += int64(got)
		if got < n {
			return from, nil
		}
	}
	return from, nil
}

// readBoth reads the same range of both files and returns how many bytes both have.
func readBoth(a, b io.ReaderAt, left, right []byte, at int64) (int, error) {
	n, err := a.ReadAt(left, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	m, err := b.ReadAt(right, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return min(n, m), nil
}
