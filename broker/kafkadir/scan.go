package kafkadir

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// scanBytes is read at once when a log is walked through.
const scanBytes = 1 << 20

// scanLog yields the batches of a segment file from byte position at on, which
// are intact and follow each other with growing offsets. It returns the
// position after the last of them and what is wrong with the bytes there; the
// error is one of reading, or of yield. A batch aliases a buffer that the next one overwrites.
func scanLog(f vfs.File, at int64, yield func(b batch.Batch, at int64) error) (end int64, damage, err error) {
	info, err := f.Stat()
	if err != nil {
		return at, nil, err
	}
	size, next := info.Size(), int64(0)
	w := window{f: f, size: size}
	for at < size {
		head, err := w.bytes(at, min(batch.HeaderSize, size-at))
		if err != nil {
			return at, nil, err
		}
		h, damage := batch.ParseHeader(head)
		if damage == nil && at+int64(h.Size()) > size {
			damage = fmt.Errorf("%w: it needs %d bytes, %d are left", batch.ErrShort, h.Size(), size-at)
		}
		if damage == nil && h.BaseOffset < next {
			damage = fmt.Errorf("%w: base offset %d, expected %d or more", batch.ErrCorrupt, h.BaseOffset, next)
		}
		if damage != nil {
			return at, damage, nil
		}
		raw, err := w.bytes(at, int64(h.Size()))
		if err != nil {
			return at, nil, err
		}
		b := batch.Batch{Header: h, Raw: raw}
		if damage := b.CheckCRC(); damage != nil {
			return at, damage, nil
		}
		if err := yield(b, at); err != nil {
			return at, nil, err
		}
		next, at = h.LastOffset()+1, at+int64(h.Size())
	}
	return at, nil, nil
}

// window reads a file in large pieces.
type window struct {
	f    vfs.File
	size int64
	buf  []byte
	from int64
}

// bytes returns n bytes at a position; they are there.
func (w *window) bytes(at, n int64) ([]byte, error) {
	if at < w.from || at+n > w.from+int64(len(w.buf)) {
		want := min(max(n, scanBytes), w.size-at)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.buf, w.from = w.buf[:want], at
		if got, err := w.f.ReadAt(w.buf, at); got < len(w.buf) {
			return nil, fmt.Errorf("read %s at %d: %d of %d bytes: %w", w.f.Name(), at, got, want, errors.Join(err, io.ErrUnexpectedEOF))
		}
	}
	return w.buf[at-w.from : at-w.from+n], nil
}

// intactAfter says whether an intact batch with an offset of next or higher
// lies anywhere in the file from byte position at on: then what comes before it is
// damage, not the torn end of the last write.
func intactAfter(f vfs.File, at, next int64) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	w := window{f: f, size: info.Size()}
	for ; at+batch.HeaderSize <= w.size; at++ {
		n := min(int64(scanBytes), w.size-at)
		piece, err := w.bytes(at, n)
		if err != nil {
			return false, err
		}
		const magicAt = 16
		i := bytes.IndexByte(piece[magicAt:], batch.Magic)
		if i < 0 {
			at += n - magicAt - 1
			continue
		}
		if at += int64(i); at+batch.HeaderSize > w.size {
			break
		}
		head, err := w.bytes(at, batch.HeaderSize)
		if err != nil {
			return false, err
		}
		h, err := batch.ParseHeader(head)
		if err != nil || h.BaseOffset < next || at+int64(h.Size()) > w.size {
			continue
		}
		raw, err := w.bytes(at, int64(h.Size()))
		if err != nil {
			return false, err
		}
		if b := (batch.Batch{Header: h, Raw: raw}); b.CheckCRC() == nil {
			return true, nil
		}
	}
	return false, nil
}
