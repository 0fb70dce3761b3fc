package ship

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff grows from 50 ms to max, with jitter of half its value.
type backoff struct {
	max  time.Duration
	next time.Duration
}

const backoffFirst = 50 * time.Millisecond

func (b *backoff) reset() { b.next = 0 }

// step returns the next wait.
func (b *backoff) step() time.Duration {
	b.next = min(max(2*b.next, backoffFirst), max(b.max, backoffFirst))
	return b.next/2 + rand.N(b.next/2+1)
}

// wait sleeps for the next step; it returns early with ctx's error.
func (b *backoff) wait(ctx context.Context) error {
	t := time.NewTimer(b.step())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
