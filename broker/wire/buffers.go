package wire

import (
	"math/bits"
	"sync"
)

const (
	bufferClassMin = 12 // 4 KiB
	bufferClassMax = 24 // 16 MiB
)

// buffers lends byte slices by size class. Slices above the largest class are
// allocated and left to the garbage collector.
type buffers struct {
	classes [bufferClassMax - bufferClassMin + 1]sync.Pool
}

// buffer is a lent slice together with the class that it goes back to.
type buffer struct {
	b []byte
}

func bufferClass(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), bufferClassMin)
}

// get returns a buffer whose slice has length n; its content is undefined.
func (p *buffers) get(n int) *buffer {
	c := bufferClass(n)
	if c > bufferClassMax {
		return &buffer{b: make([]byte, n)}
	}
	if b, ok := p.classes[c-bufferClassMin].Get().(*buffer); ok {
		b.b = b.b[:n]
		return b
	}
	return &buffer{b: make([]byte, n, 1<<c)}
}

// put takes a buffer back; nothing may refer to its bytes any more.
func (p *buffers) put(b *buffer) {
	if b == nil {
		return
	}
	c := bits.Len(uint(cap(b.b))) - 1
	if cap(b.b) == 0 || c < bufferClassMin || c > bufferClassMax || cap(b.b) != 1<<c {
		return
	}
	p.classes[c-bufferClassMin].Put(b)
}
