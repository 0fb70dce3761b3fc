package wire

import (
	"encoding/binary"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ResponseWriter gathers the responses of a connection's answered requests: bytes
// that are encoded here, and data that is written from where it lies. Only the
// connection's writer uses it.
type ResponseWriter struct {
	conn *Conn

	buf      []byte // encoded bytes
	pieces   []piece
	begun    int // start of the current response in buf
	external int // bytes of data since then
	bytes    int // bytes of all gathered responses
	files    int // pieces of the gathered responses that are parts of files
	closers  []func()
	reserved int64
	out      net.Buffers
}

// piece is a stretch of encoded bytes up to end, followed by data or by part of a file.
type piece struct {
	end  int
	data []byte
	file fileRange
}

// begin starts a response: length, correlation id and, in the newer header,
// tagged fields.
func (w *ResponseWriter) begin(r *Request) {
	w.begun, w.external = len(w.buf), 0
	w.buf = append(w.buf, 0, 0, 0, 0)
	if r.raw { // the answer to a token is a token
		return
	}
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(r.CorrelationID))
	// KIP-511: the response to ApiVersions keeps the old header, because the
	// client does not know yet what the broker understands.
	if r.Key != apiKeyApiVersions && r.Flexible() {
		w.buf = append(w.buf, 0)
	}
}

// end writes the length of the response that begin started.
func (w *ResponseWriter) end() int {
	n := len(w.buf) - w.begun + w.external
	binary.BigEndian.PutUint32(w.buf[w.begun:], uint32(n-4))
	w.bytes += n
	return n
}

// undo drops a response that was begun.
func (w *ResponseWriter) undo() { w.buf = w.buf[:w.begun] }

// Append lets fn append encoded bytes to the response.
func (w *ResponseWriter) Append(fn func([]byte) []byte) { w.buf = fn(w.buf) }

// AppendData puts data into the response without copying it. It must stay as it
// is until what was given to OnWritten is called.
func (w *ResponseWriter) AppendData(data []byte) {
	if len(data) == 0 {
		return
	}
	w.pieces = append(w.pieces, piece{end: len(w.buf), data: data})
	w.external += len(data)
}

// SendsFiles reports whether AppendFile may be used: not where data is encrypted.
func (w *ResponseWriter) SendsFiles() bool {
	_, ok := w.conn.nc.(*net.TCPConn)
	return ok && w.conn.transport == nil
}

// AppendFile puts size bytes of a file from at on into the response. They go to the
// socket without passing through the process. The file must stay open, and those bytes as they are,
// until what was given to OnWritten is called.
func (w *ResponseWriter) AppendFile(f File, at, size int64) {
	w.pieces = append(w.pieces, piece{end: len(w.buf), file: fileRange{f, at, size}})
	w.external += int(size)
	w.files++
}

// OnWritten calls fn when the response has been written or the connection is closed.
func (w *ResponseWriter) OnWritten(fn func()) { w.closers = append(w.closers, fn) }

// FlushEarlier writes the responses that are gathered before the current one, of
// which nothing but the start may have been written yet. Whoever waits while
// rendering calls it first.
func (w *ResponseWriter) FlushEarlier() error {
	if w.bytes == 0 {
		return nil
	}
	head := append([]byte(nil), w.buf[w.begun:]...)
	w.undo()
	if err := w.flush(); err != nil {
		return err
	}
	w.buf = append(w.buf, head...)
	return nil
}

// Reserve waits for n bytes of the node's budget; false means that the
// connection is closed. What is reserved is released when the gathered
// responses are written. It must be called before anything is appended:
// responses that are gathered already are written first, so that no
// reservation is held while this one is waited for.
func (w *ResponseWriter) Reserve(n int64) bool {
	b := w.conn.server.budget
	if b.TryReserve(n) {
		w.reserved += n
		return true
	}
	if err := w.FlushEarlier(); err != nil {
		return false
	}
	if !b.Reserve(n, w.conn.closed) {
		return false
	}
	w.reserved += b.Cap(n)
	return true
}

// TryReserve takes n more bytes of the budget if they are free.
func (w *ResponseWriter) TryReserve(n int64) bool {
	if !w.conn.server.budget.TryReserve(n) {
		return false
	}
	w.reserved += n
	return true
}

// Adjust corrects what was reserved by delta, when the data turned out smaller
// or had to be larger.
func (w *ResponseWriter) Adjust(delta int64) {
	if delta > 0 {
		w.conn.server.budget.Force(delta)
	} else {
		w.conn.server.budget.Release(-delta)
	}
	w.reserved += delta
}

// appendResponse encodes a kmsg response.
func (w *ResponseWriter) appendResponse(r *Request, resp kmsg.Response) {
	resp.SetVersion(r.Version)
	w.begin(r)
	w.buf = resp.AppendTo(w.buf)
	w.end()
}

// flush writes everything gathered with one call and releases it.
func (w *ResponseWriter) flush() error {
	if w.bytes == 0 {
		w.reset()
		return nil
	}
	err := w.conn.startWrite(w.bytes)
	if err == nil {
		err = w.writePieces()
	}
	w.reset()
	if err != nil {
		return writeError(err)
	}
	return nil
}

// writePieces writes what lies in memory with as few calls as there are files in between.
func (w *ResponseWriter) writePieces() error {
	out, from := w.out[:0], 0
	for _, p := range w.pieces {
		if p.end > from {
			out = append(out, w.buf[from:p.end])
		}
		from = p.end
		if p.file.file == nil {
			out = append(out, p.data)
			continue
		}
		w.out = out
		if err := sendMore(w.conn.nc.(*net.TCPConn), out); err != nil {
			return err
		}
		if err := sendFile(w.conn.nc.(*net.TCPConn), p.file); err != nil {
			return err
		}
		out = out[:0]
	}
	if len(w.buf) > from {
		out = append(out, w.buf[from:])
	}
	w.out = out // WriteTo consumes its own copy of the slice
	return w.conn.writeBuffers(out)
}

func (w *ResponseWriter) reset() {
	for _, c := range w.closers {
		c()
	}
	if w.reserved > 0 {
		w.conn.server.budget.Release(w.reserved)
		w.reserved = 0
	}
	clear(w.pieces)
	clear(w.closers)
	clear(w.out[:cap(w.out)])
	w.pieces, w.closers = w.pieces[:0], w.closers[:0]
	if cap(w.buf) > 2*writeBatchBytes {
		w.buf = nil
	}
	w.buf, w.bytes, w.external, w.begun, w.files = w.buf[:0], 0, 0, 0, 0
}
