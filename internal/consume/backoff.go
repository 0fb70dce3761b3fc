package consume

import (
	"context"
	"log/slog"
	"time"
)

// Backoff doubles the wait between two tries, from 250 ms to 10 s. Its zero
// value is ready.
type Backoff struct{ last time.Duration }

// Wait lets the next pause pass and reports whether ctx is still there.
func (b *Backoff) Wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, backoffMin), backoffMax)
	return Pause(ctx, b.last)
}

// Pause lets the time pass and reports whether ctx is still there.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Retry calls fn until it succeeds or ctx ends. It says once that it fails and
// once that it works again.
func Retry(ctx context.Context, logger *slog.Logger, what string, fn func() error) error {
	b := Backoff{}
	for failed := false; ; failed = true {
		err := fn()
		if err == nil {
			if failed {
				logger.Info("works again", "task", what)
			}
			return nil
		}
		if !failed {
			logger.Warn("failed, trying again until it works", "task", what, "error", err)
		}
		if !b.Wait(ctx) {
			return ctx.Err()
		}
	}
}

// WithGrace returns a context that ends 3 s after ctx does, so that a call
// that is under way can be finished and recorded.
func WithGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(graceTimeout, cancel)
		context.AfterFunc(grace, func() { timer.Stop() })
	})
	return grace, func() {
		stop()
		cancel()
	}
}
