package wire

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestBudgetServesWaitersInOrder(t *testing.T) {
	b := NewBudget(100)
	open := make(chan struct{})
	if !b.Reserve(60, open) || !b.TryReserve(40) || b.TryReserve(1) {
		t.Fatal("a free budget is not given")
	}
	large := make(chan bool, 1)
	go func() { large <- b.Reserve(90, open) }()
	awaitWaiters(t, b, 1)
	if b.Release(60); b.TryReserve(10) {
		t.Fatal("a small reservation overtakes a large one that waits")
	}
	b.Release(40)
	if !<-large || b.Used() != 90 {
		t.Fatalf("the large reservation is not served: %d used", b.Used())
	}
}

func TestBudgetForgetsWhoGaveUp(t *testing.T) {
	b := NewBudget(10)
	b.Reserve(10, nil)
	closed := make(chan struct{})
	gaveUp := make(chan bool, 1)
	go func() { gaveUp <- b.Reserve(5, closed) }()
	awaitWaiters(t, b, 1)
	close(closed)
	if <-gaveUp {
		t.Fatal("reserved although closed")
	}
	b.Release(10)
	if b.Used() != 0 || !b.TryReserve(10) {
		t.Fatalf("%d bytes are still used", b.Used())
	}
}

func TestBudgetIsNeverExceededAndNothingIsLost(t *testing.T) {
	const most = 1000
	b := NewBudget(most)
	var held atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 2000 {
				n := r.Int64N(1500)
				if !b.Reserve(n, nil) {
					t.Error("not reserved")
					return
				}
				n = b.Cap(n)
				if now := held.Add(n); now > most {
					t.Errorf("%d of %d held", now, most)
				}
				held.Add(-n)
				b.Release(n)
			}
		})
	}
	wg.Wait()
	if b.Used() != 0 {
		t.Fatalf("%d bytes are still used", b.Used())
	}
}

func awaitWaiters(t *testing.T, b *Budget, n int) {
	t.Helper()
	for {
		b.mu.Lock()
		waiting := b.waiters.Len()
		b.mu.Unlock()
		if waiting == n {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("nobody waits")
		default:
		}
	}
}
