// Package buffers lends memory for requests and reads, whose sizes are between a
// few KiB and some MiB and which live for milliseconds.
//
// A [Pool] is a bounded stack of free buffers for each of a row of sizes. What is
// put back last is lent first, so that a steady load goes round in the same warm
// memory; [Pool.Trim], called at intervals, lets go of what no load has needed since
// the call before, so that a peak is not kept. Unlike sync.Pool it does not depend on the
// garbage collector: its content is neither lost at each collection nor kept
// until there is one.
//
// The bytes that are lent are not bounded here: whoever borrows has reserved them
// elsewhere (the broker's request memory). All methods may be called from any goroutine.
package buffers

import (
	"math/bits"
	"sync"
)

const (
	// sizeMinBits and sizeMaxBits are the smallest and largest buffers that are
	// kept, 4 KiB and 16 MiB. Larger ones are left to the garbage collector.
	sizeMinBits, sizeMaxBits = 12, 24
	// stepBits is how many sizes there are from one power of two to the next, as
	// a power of two: four, so that at most a fifth of a buffer is unused.
	stepBits = 2
	classes  = (sizeMaxBits-sizeMinBits)<<stepBits + 1
	// noClass is the class of a buffer that is not kept.
	noClass = -1
)

// Pool lends buffers. Use New.
type Pool struct {
	freeBytesMax int64

	mu        sync.Mutex
	freeBytes int64
	classes   [classes]class
}

// class holds the free buffers of one size; the last one was put back last.
type class struct {
	free []*Buffer
	// idle is the smallest number that were free at a time since the last Trim:
	// as many were not needed.
	idle int
}

// Buffer is lent memory.
type Buffer struct {
	// B has at least the length that was asked for and the whole capacity of the
	// buffer. Its content is undefined.
	B     []byte
	pool  *Pool
	class int
}

// New returns a pool that keeps at most freeBytesMax bytes that nobody uses.
func New(freeBytesMax int64) *Pool { return &Pool{freeBytesMax: freeBytesMax} }

// Get lends a buffer of at least size bytes.
func (p *Pool) Get(size int) *Buffer {
	i := classOf(size)
	if i == noClass {
		return &Buffer{B: make([]byte, size), class: noClass}
	}
	if b := p.take(i); b != nil {
		return b
	}
	return &Buffer{B: make([]byte, classSize(i)), pool: p, class: i}
}

func (p *Pool) take(i int) *Buffer {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.classes[i]
	last := len(c.free) - 1
	if last < 0 {
		return nil
	}
	b := c.free[last]
	c.free[last], c.free = nil, c.free[:last]
	c.idle = min(c.idle, last)
	p.freeBytes -= int64(len(b.B))
	return b
}

// Release gives the buffer back, once: nothing may refer to its bytes any more.
func (b *Buffer) Release() {
	if b.class == noClass {
		return
	}
	p := b.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freeBytes+int64(len(b.B)) > p.freeBytesMax {
		return
	}
	c := &p.classes[b.class]
	c.free = append(c.free, b)
	p.freeBytes += int64(len(b.B))
}

// FreeBytes returns the bytes that are kept and not lent.
func (p *Pool) FreeBytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.freeBytes
}

// Trim drops the buffers that were not needed since the last call and returns
// their bytes. They are the garbage collector's from then on.
func (p *Pool) Trim() (dropped int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.classes {
		c := &p.classes[i]
		// The oldest ones: those that were lent are on top.
		kept := copy(c.free, c.free[c.idle:])
		clear(c.free[kept:])
		c.free = c.free[:kept]
		dropped += int64(c.idle) * int64(classSize(i))
		c.idle = kept
	}
	p.freeBytes -= dropped
	return dropped
}

// classOf returns the class whose buffers are the smallest of at least size
// bytes, or noClass.
func classOf(size int) int {
	switch {
	case size <= 1<<sizeMinBits:
		return 0
	case size > 1<<sizeMaxBits:
		return noClass
	}
	// size-1 is between two powers of two, 2^n and 2^(n+1), in one of four steps.
	n := bits.Len(uint(size-1)) - 1
	step := (size - 1) >> (n - stepBits) & (1<<stepBits - 1)
	return (n-sizeMinBits)<<stepBits + step + 1
}

// classSize is the length of the buffers of a class.
func classSize(i int) int {
	n, step := i>>stepBits+sizeMinBits, i&(1<<stepBits-1)
	return 1<<n + step<<(n-stepBits)
}
