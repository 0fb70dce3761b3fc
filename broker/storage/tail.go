package storage

import (
	"sort"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/buffers"
)

// tailCache bounds the tail buffers of all logs together: when it is full, the
// oldest chunk goes, whosever it is.
type tailCache struct {
	bytesMax int64
	mu       sync.Mutex
	bytes    int64 // protected by mu
	queue    []*tailChunk
	metrics  *metrics
	buffers  *buffers.Pool
}

// tailChunk holds whole batches. Bytes below n never change.
type tailChunk struct {
	owner *tail
	// base is the offset of the first record.
	base int64
	data []byte
	n    atomic.Int64
}

func (c *tailChunk) bytes() []byte { return c.data[:c.n.Load()] }

// tail is the newest batches of one log in memory. The log appends under its
// lock; readers take none. A chunk that was evicted stays valid for those who hold it.
//
// It is kept only while somebody follows the end of the log: a copy that nobody
// reads costs a producer as much as the checksum does.
//
// Invariant: chunks follow each other without a gap and end at the log end.
type tail struct {
	cache *tailCache
	// followedMs is when a reader was last seen at the end of the log or in the
	// tail, by the broker's clock, 0 for never; to within tailFollowedStepMs.
	followedMs atomic.Int64

	mu     sync.Mutex // protects writes of chunks
	chunks atomic.Pointer[[]*tailChunk]
	next   int // size of the next chunk; protected by the log's lock
}

func (t *tail) list() []*tailChunk {
	if p := t.chunks.Load(); p != nil {
		return *p
	}
	return nil
}

// follow notes that somebody reads what is newest. It needs no lock.
func (t *tail) follow(nowMs int64) {
	if at := t.followedMs.Load(); at == 0 || nowMs-at >= tailFollowedStepMs || nowMs < at {
		t.followedMs.Store(nowMs)
	}
}

// followed reports whether somebody has read what was newest a short time ago.
func (t *tail) followed(nowMs int64) bool {
	at := t.followedMs.Load()
	return at != 0 && nowMs-at < tailFollowedMs
}

// append copies batches that begin at offset base, if somebody follows the log.
func (t *tail) append(batches []byte, base, nowMs int64) {
	if t.cache.bytesMax <= 0 {
		return
	}
	if !t.followed(nowMs) {
		if t.chunks.Load() != nil {
			t.cache.forget(t)
		}
		return
	}
	if int64(len(batches)) > t.cache.bytesMax/8 {
		t.reset() // what follows would not join what is there
		return
	}
	if list := t.list(); len(list) > 0 {
		c := list[len(list)-1]
		n := c.n.Load()
		if int64(len(c.data))-n >= int64(len(batches)) {
			copy(c.data[n:], batches)
			c.n.Store(n + int64(len(batches)))
			return
		}
	}
	t.next = min(max(2*t.next, tailChunkMin), tailChunkMax)
	c := &tailChunk{owner: t, base: base, data: make([]byte, max(t.next, len(batches)))}
	c.n.Store(int64(copy(c.data, batches)))
	t.mu.Lock()
	old := t.list()
	list := make([]*tailChunk, 0, len(old)+1)
	list = append(append(list, old...), c)
	t.chunks.Store(&list)
	t.mu.Unlock()
	t.cache.admit(c)
}

// reset forgets all chunks.
func (t *tail) reset() {
	t.mu.Lock()
	t.chunks.Store(nil)
	t.mu.Unlock()
	t.next = 0
}

// drop forgets chunks up to c.
func (t *tail) drop(c *tailChunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.list()
	for i := range list {
		if list[i] == c {
			kept := append([]*tailChunk(nil), list[i+1:]...)
			t.chunks.Store(&kept)
			return
		}
	}
}

func (c *tailCache) admit(chunk *tailChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, chunk)
	c.bytes += int64(len(chunk.data))
	for c.bytes > c.bytesMax && len(c.queue) > 1 {
		oldest := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.bytes -= int64(len(oldest.data))
		oldest.owner.drop(oldest)
	}
	c.metrics.tailBytes.Set(float64(c.bytes))
}

// forget drops a log's chunks and gives their memory back.
func (c *tailCache) forget(t *tail) {
	t.reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.queue[:0]
	for _, chunk := range c.queue {
		if chunk.owner == t {
			c.bytes -= int64(len(chunk.data))
			continue
		}
		kept = append(kept, chunk)
	}
	clear(c.queue[len(kept):])
	c.queue = kept
}

// read returns batches from the one that contains start. ok is false when the
// tail does not hold start.
func (t *tail) read(start, limit int64, bytesMax int, minOne bool) (span readSpan, ok bool) {
	list := t.list()
	i := sort.Search(len(list), func(i int) bool { return list[i].base > start }) - 1
	if i < 0 {
		return readSpan{}, false
	}
	b := list[i].bytes()
	w := walk(b, start, limit, bytesMax, minOne)
	if w.err != nil || w.next <= start {
		// Nothing in reach: too large for the limit, or not here.
		return readSpan{next: start}, w.err == nil && w.found
	}
	span = readSpan{data: b[w.from:w.to], next: w.next}
	if w.to == len(b) && i+1 < len(list) && w.next < limit && len(span.data) < bytesMax {
		span = t.gather(span, list[i+1:], limit, bytesMax)
	}
	return span, true
}

// gather copies what follows in further chunks behind the first span.
func (t *tail) gather(first readSpan, rest []*tailChunk, limit int64, bytesMax int) readSpan {
	size := len(first.data)
	for _, c := range rest {
		size += len(c.bytes())
	}
	buf := t.cache.buffers.Get(min(bytesMax, size))
	out := append(buf.B[:0], first.data...)
	next := first.next
	for _, c := range rest {
		b := c.bytes()
		w := walk(b, next, limit, bytesMax-len(out), false)
		if w.err != nil || w.next <= next || len(out)+w.to-w.from > len(buf.B) {
			break
		}
		out = append(out, b[w.from:w.to]...)
		next = w.next
		if w.to < len(b) {
			break
		}
	}
	return readSpan{data: out, next: next, buffer: buf}
}
