package pipelines

import (
	"log/slog"
	"sync"
)

// troubleLog reports the first failure after a success, and the success after
// it, so that an outage is two lines.
type troubleLog struct {
	logger   *slog.Logger
	mu       sync.Mutex
	troubled bool
}

func (t *troubleLog) report(err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	first := !t.troubled
	t.troubled = true
	t.mu.Unlock()
	if first {
		t.logger.Warn("kafka cannot be read, trying again until it can", "error", err)
	}
}

func (t *troubleLog) recovered() {
	t.mu.Lock()
	was := t.troubled
	t.troubled = false
	t.mu.Unlock()
	if was {
		t.logger.Info("kafka is read again")
	}
}
