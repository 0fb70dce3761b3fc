package batch

import (
	"errors"
	"fmt"
	"io"
)

// BlockSize is how much is read from a file at once.
const BlockSize = 256 << 10

// Scanner reads blocks of files and frames them. Its buffer is shared by all
// files that one goroutine reads.
type Scanner struct {
	buf  []byte
	base int64 // file offset of buf[0]
	held int   // bytes of buf that were read last
}

// Tail returns the bytes before offset end of the file that was read last, as
// far as they are in the buffer; at most TailMax.
func (s *Scanner) Tail(end int64) []byte {
	at := end - s.base
	if at <= 0 || at > int64(s.held) {
		return nil
	}
	return s.buf[max(0, at-TailMax):at]
}

// Cursor is where a file is read next.
type Cursor struct {
	// Pos is the offset of the first byte that no event holds yet.
	Pos int64
	// Scanned is an offset up to which no line of the event at Pos ends; what
	// lies before it need not be looked at again. 0 when nothing is known.
	Scanned int64
}

// Range is what a scan may look at.
type Range struct {
	// Size is the file's size (or the end of a segment).
	Size int64
	// End says how to treat an unfinished event at Size.
	End End
	// Check is called after each read and before the bytes are used, with the offset after the
	// last byte; an error drops the bytes. May be nil.
	Check func(end int64) error
}

// Scan reads one block at c.Pos (more for an event that needs it) and calls
// emit for its events. It
// advances c past what emit took. more says that another call would find
// something new; after a refused event it is true.
func (s *Scanner) Scan(r io.ReaderAt, f *Framer, c *Cursor, rg Range, emit func(Event) bool) (more bool, err error) {
	if c.Pos >= rg.Size {
		return false, nil
	}
	if c.Scanned > c.Pos {
		return s.scanOn(r, f, c, rg, emit)
	}
	want := int64(BlockSize)
	for {
		want = min(want, rg.Size-c.Pos)
		block, err := s.read(r, c.Pos, int(want), rg.Check)
		if err != nil {
			return false, err
		}
		end := EndOpen
		if c.Pos+want == rg.Size {
			end = rg.End
		}
		refused, start := false, c.Pos
		taken := f.Frame(block, c.Pos, end, func(ev Event) bool {
			ok := emit(ev)
			refused = refused || !ok
			return ok
		})
		c.Pos += int64(taken)
		switch {
		case refused:
			return true, nil
		case taken > 0:
			return start+want < rg.Size, nil
		case len(block) > f.SpanMax():
			c.Scanned = c.Pos + want&^1
			return c.Scanned < rg.Size || rg.End == EndFinal, nil
		case c.Pos+want == rg.Size:
			if !f.Multiline() {
				c.Scanned = c.Pos + want&^1
			}
			return false, nil
		}
		want = int64(f.SpanMax()) + BlockSize
	}
}

// scanOn looks for the end of a line of which the beginning holds none.
func (s *Scanner) scanOn(r io.ReaderAt, f *Framer, c *Cursor, rg Range, emit func(Event) bool) (bool, error) {
	long := func(end int64) (bool, error) {
		prefix, err := s.read(r, c.Pos, f.SpanMax(), rg.Check)
		if err != nil {
			return false, err
		}
		if !emit(f.Long(prefix, c.Pos, end)) {
			return true, nil
		}
		*c = Cursor{Pos: end}
		return end < rg.Size, nil
	}
	if c.Scanned >= rg.Size && rg.End == EndOpen {
		return false, nil
	}
	if want := min(int64(BlockSize), rg.Size-c.Scanned); want > 0 {
		block, err := s.read(r, c.Scanned, int(want), rg.Check)
		if err != nil {
			return false, err
		}
		if nl := f.newline.index(block); nl >= 0 {
			end := c.Scanned + int64(nl+f.newline.width)
			if end-c.Pos > int64(f.SpanMax()) {
				return long(end)
			}
			c.Scanned = 0
			return true, nil
		}
		if c.Scanned+want < rg.Size {
			c.Scanned += want &^ 1
			return true, nil
		}
		if rg.End != EndFinal {
			c.Scanned += want &^ 1
			return false, nil
		}
	}
	if rg.End == EndFinal {
		if rg.Size-c.Pos > int64(f.SpanMax()) {
			return long(rg.Size)
		}
		c.Scanned = 0
		return true, nil
	}
	return false, nil
}

// read returns want bytes at off. Fewer are an error: io.ErrUnexpectedEOF.
func (s *Scanner) read(r io.ReaderAt, off int64, want int, check func(int64) error) ([]byte, error) {
	if cap(s.buf) < want {
		s.buf = make([]byte, max(want, BlockSize))
	}
	block := s.buf[:want]
	s.base, s.held = off, 0
	n, err := r.ReadAt(block, off)
	if n < want {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %d bytes at %d: %w", want, off, err)
	}
	if check != nil {
		if err := check(off + int64(want)); err != nil {
			return nil, err
		}
	}
	s.held = want
	return block, nil
}
