package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/broker/batch"
)

// scanFile is [scanner.scan] with memory of its own.
func scanFile(f io.ReaderAt, from, to int64, yield func(b batch.Batch, position int64) error) error {
	return new(scanner).scan(f, from, to, yield)
}

// scanner walks through files of batches, one at a time, with the same memory for
// all: as much as the largest batch takes. A start goes through thousands of them.
type scanner struct{ buf []byte }

// scan yields the batches of f between two positions. It returns
// batch.ErrShort, ErrCorrupt or ErrOldFormat (wrapped) for what does not parse,
// the error of yield, or an I/O error. Checksums are not looked at. A batch is valid during
// the call of yield only.
func (s *scanner) scan(f io.ReaderAt, from, to int64, yield func(b batch.Batch, position int64) error) error {
	want := int64(scanBytes)
	for from < to {
		chunk := s.atLeast(min(want, to-from))
		if err := readFull(f, chunk, from); err != nil {
			return err
		}
		at := 0
		for at < len(chunk) {
			b, err := batch.Parse(chunk[at:])
			if errors.Is(err, batch.ErrShort) {
				break
			}
			if err == nil {
				err = yield(b, from+int64(at))
			}
			if err != nil {
				return err
			}
			at += len(b.Raw)
		}
		if at == 0 {
			// Not one whole batch in the chunk: make it large enough.
			h, err := batch.ParseHeader(chunk)
			if err != nil {
				return err
			}
			if int64(h.Size()) > to-from {
				return fmt.Errorf("%w: %d bytes at %d, %d are left", batch.ErrShort, h.Size(), from, to-from)
			}
			want = max(want, int64(h.Size()))
		}
		from += int64(at)
	}
	return nil
}

// atLeast returns n bytes of the scanner's memory.
func (s *scanner) atLeast(n int64) []byte {
	if int64(len(s.buf)) < n {
		s.buf = make([]byte, n)
	}
	return s.buf[:n]
}
