package batch

import (
	"errors"
	"fmt"
	"io"
)

// ErrDiffers is returned when the bytes of a file are not those that a plan
// was made of.
var ErrDiffers = errors.New("the bytes of the file have changed")

// Rebuild adds the events of seg, read from r, to b, and checks that they are
// those that the plan was made of. After an error b holds part of the segment
// and is of no use.
func (s *Scanner) Rebuild(b *Batch, src *Source, seg *Segment, r io.ReaderAt) error {
	cursor := Cursor{Pos: seg.Start}
	rg := Range{Size: seg.End, End: EndFinal}
	b.Break()
	moved := seg.Moved
	for more := true; more && cursor.Pos < seg.End; {
		var err error
		more, err = s.Scan(r, src.Framer, &cursor, rg, func(ev Event) bool {
			b.Add(src, ev, seg.TimeMs, moved, seg.ValueMax)
			moved = false
			return true
		})
		if err != nil {
			return err
		}
	}
	if len(b.Segments) == 0 {
		return fmt.Errorf("rebuild [%d,%d): no events: %w", seg.Start, seg.End, ErrDiffers)
	}
	got := &b.Segments[len(b.Segments)-1]
	got.TailLen, got.TailSum = seg.TailLen, seg.TailSum
	if *got != *seg {
		return fmt.Errorf("rebuild [%d,%d): %w", seg.Start, seg.End, ErrDiffers)
	}
	return nil
}
