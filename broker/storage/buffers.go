package storage

import (
	"math/bits"
	"sync"
)

// readSpan is a run of whole batches.
type readSpan struct {
	data []byte
	next int64
	// buffer holds data when it was taken from the pool.
	buffer *buffer
}

const (
	minPooledBits = 12
	maxPooledBits = 24 // 16 MiB; larger ones are left to the garbage collector
)

// bufferPools hold memory for reads, buffers of 2^i bytes at index i.
type bufferPools [maxPooledBits + 1]sync.Pool

// buffer is pooled memory.
type buffer struct {
	b []byte
	// home is nil for a buffer that is too large to keep.
	home *sync.Pool
}

// get returns a buffer with room for size bytes.
func (p *bufferPools) get(size int) *buffer {
	class := max(bits.Len(uint(max(size, 1)-1)), minPooledBits)
	if class > maxPooledBits {
		return &buffer{b: make([]byte, size)}
	}
	home := &p[class]
	if v, ok := home.Get().(*buffer); ok {
		return v
	}
	return &buffer{b: make([]byte, 1<<class), home: home}
}

// release gives the memory back.
func (b *buffer) release() {
	if b.home != nil {
		b.home.Put(b)
	}
}
