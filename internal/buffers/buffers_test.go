package buffers

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestClasses(t *testing.T) {
	for i := range classes {
		size := classSize(i)
		if got := classOf(size); got != i {
			t.Fatalf("a buffer of class %d, %d bytes, is of class %d", i, size, got)
		}
		if i+1 < classes && classOf(size+1) != i+1 {
			t.Fatalf("%d bytes are of class %d, class %d has %d", size+1, classOf(size+1), i, size)
		}
		if i > 0 && size*4 > classSize(i-1)*5 {
			t.Fatalf("class %d has %d bytes, the one before %d", i, size, classSize(i-1))
		}
	}
	if classSize(0) != 1<<sizeMinBits || classSize(classes-1) != 1<<sizeMaxBits {
		t.Fatalf("from %d to %d bytes", classSize(0), classSize(classes-1))
	}
}

func TestSizes(t *testing.T) {
	p := New(1 << 30)
	for _, size := range []int{0, 1, 4096, 4097, 5120, 5121, 1 << 20, 1<<20 + 8<<10, 1<<24 - 1, 1 << 24, 1<<24 + 1} {
		b := p.Get(size)
		if len(b.B) < size || len(b.B) != cap(b.B) {
			t.Errorf("%d bytes for %d, capacity %d", len(b.B), size, cap(b.B))
		}
		b.Release()
	}
	if want := int64(4096*3 + 5120*2 - 4096*2 + 6144 - 5120 + 1<<20 + 5<<18 + 1<<24); p.FreeBytes() != want {
		t.Errorf("%d bytes are kept, want %d", p.FreeBytes(), want)
	}
}

// TestLastReleasedIsLentFirst: a steady load stays in the same memory, and takes none
// of it anew.
func TestLastReleasedIsLentFirst(t *testing.T) {
	p := New(1 << 20)
	a, b := p.Get(5000), p.Get(5000)
	a.Release()
	b.Release()
	if p.Get(5000) != b || p.Get(5000) != a {
		t.Error("not what was released last")
	}
	a.Release()
	if n := testing.AllocsPerRun(100, func() { p.Get(5000).Release() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFreeBytesAreBounded(t *testing.T) {
	p := New(10_000)
	lent := []*Buffer{p.Get(4096), p.Get(4096), p.Get(4096)}
	for _, b := range lent {
		b.Release()
	}
	if p.FreeBytes() != 8192 {
		t.Errorf("%d bytes are kept", p.FreeBytes())
	}
}

// TestTrim: what was idle from one call to the next is let go, what was needed stays.
func TestTrim(t *testing.T) {
	p := New(1 << 20)
	var peak []*Buffer
	for range 10 {
		peak = append(peak, p.Get(4096))
	}
	for _, b := range peak {
		b.Release()
	}
	if n := p.Trim(); n != 0 {
		t.Fatalf("%d bytes dropped that were used since the start", n)
	}
	for range 5 { // a load of three at a time
		a, b, c := p.Get(4096), p.Get(4096), p.Get(4096)
		a.Release()
		b.Release()
		c.Release()
	}
	if n := p.Trim(); n != 7*4096 || p.FreeBytes() != 3*4096 {
		t.Fatalf("%d bytes dropped, %d kept", n, p.FreeBytes())
	}
	if n := p.Trim(); n != 3*4096 || p.FreeBytes() != 0 {
		t.Fatalf("%d bytes dropped without a load, %d kept", n, p.FreeBytes())
	}
}

// TestSharedUse: a buffer is never lent twice at a time, and the count is right at the end.
func TestSharedUse(t *testing.T) {
	p := New(1 << 20)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 2000 {
				b := p.Get(random.IntN(20_000))
				b.B[0], b.B[len(b.B)-1] = byte(worker), byte(worker)
				if random.IntN(50) == 0 {
					p.Trim()
				}
				if b.B[0] != byte(worker) || b.B[len(b.B)-1] != byte(worker) {
					t.Error("a buffer that was lent to two")
				}
				b.Release()
			}
		})
	}
	wg.Wait()
	free := int64(0)
	for i := range p.classes {
		free += int64(len(p.classes[i].free)) * int64(classSize(i))
	}
	if free != p.FreeBytes() || free > 1<<20 {
		t.Errorf("%d bytes are counted, %d are there", p.FreeBytes(), free)
	}
}
