package alerting

import (
	"context"
	"log/slog"
	"time"
)

// backoff doubles the wait between two tries, from backoffMin to backoffMax.
type backoff struct{ last time.Duration }

// wait lets the next pause pass and reports whether ctx is still there.
func (b *backoff) wait(ctx context.Context) bool {
	b.last = min(max(2*b.last, backoffMin), backoffMax)
	return pause(ctx, b.last)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// retry calls fn until it succeeds or ctx ends. It says once that it fails and
// once that it works again.
func retry(ctx context.Context, logger *slog.Logger, what string, fn func() error) error {
	b := backoff{}
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
		if !b.wait(ctx) {
			return ctx.Err()
		}
	}
}

// withGrace returns a context that ends a little after ctx does, so that a call
// that is under way can be finished and recorded.
func withGrace(ctx context.Context) (context.Context, context.CancelFunc) {
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
