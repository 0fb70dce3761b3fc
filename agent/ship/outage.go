package ship

import (
	"log/slog"
	"sync"
	"time"
)

// outage says once that the cluster cannot be reached or refuses, and once that it is back, however many lanes find out.
type outage struct {
	logger *slog.Logger
	mu     sync.Mutex
	since  time.Time
	failed map[string]bool
}

func newOutage(logger *slog.Logger) *outage {
	return &outage{logger: logger, failed: map[string]bool{}}
}

// fail notes that who cannot go on.
func (o *outage) fail(who string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failed) == 0 {
		o.since = time.Now()
		o.logger.Warn("waiting for the Kafka cluster", "what", who, "error", err)
	}
	o.failed[who] = true
}

// ok notes that who goes on.
func (o *outage) ok(who string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failed[who] {
		return
	}
	delete(o.failed, who)
	if len(o.failed) == 0 {
		o.logger.Info("the Kafka cluster is back", "after", time.Since(o.since).Round(time.Millisecond))
	}
}
