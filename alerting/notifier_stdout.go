package alerting

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// stdout prints alerts as JSON lines. It may be shared by several notifiers.
type stdout struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *stdout) retryFor() time.Duration { return 0 }
func (s *stdout) parallel() int           { return 1 }
func (s *stdout) recorded() bool          { return true }

func (s *stdout) send(_ context.Context, _ *Alert, line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.out.Write(append(append([]byte(nil), line...), '\n')); err != nil {
		return fmt.Errorf("print alert: %w", err)
	}
	return nil
}
