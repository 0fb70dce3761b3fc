package storage

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// walkResult says which part of a run of batches a reader gets.
type walkResult struct {
	// from and to bound the batches to return.
	from, to int
	// next is the offset after the last of them; 0 when there is none.
	next int64
	// found is true when the batch that contains the start begins in the bytes.
	found bool
	// short is the size of a batch at to that is cut off by the end of the
	// bytes; batch.HeaderSize when even its header is.
	short int
	// err is damage at to.
	err error
}

// walk looks through batches for the one that contains start and takes it and
// those after it that begin before limit, up to bytesMax bytes. minOne takes the first even if it is larger.
func walk(b []byte, start, limit int64, bytesMax int, minOne bool) walkResult {
	var w walkResult
	at, expected := 0, int64(0)
	for at < len(b) {
		h, err := batch.ParseHeader(b[at:])
		if err != nil && !errors.Is(err, batch.ErrShort) {
			w.err = err
			break
		}
		if err != nil {
			w.short = batch.HeaderSize
			break
		}
		if h.BaseOffset < expected {
			w.err = fmt.Errorf("%w: base offset %d, expected %d or more", batch.ErrCorrupt, h.BaseOffset, expected)
			break
		}
		size := h.Size()
		expected = h.LastOffset() + 1
		if !w.found && h.LastOffset() < start {
			if size > len(b)-at {
				// Its end is beyond the bytes: go on after it.
				w.from, w.to = at+size, at+size
				return w
			}
			at += size
			w.from, w.to = at, at
			continue
		}
		w.found = true
		if h.BaseOffset >= limit || at+size-w.from > bytesMax && (!minOne || at > w.from) {
			break
		}
		if size > len(b)-at {
			w.short = size
			break
		}
		at += size
		w.to, w.next = at, h.LastOffset()+1
	}
	return w
}
