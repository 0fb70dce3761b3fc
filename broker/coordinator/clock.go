package coordinator

import "time"

// Clock is the time that shards see: it starts at the wall clock's, because some
// of it is told to clients, and goes on steadily, so that a clock that is
// set does not end sessions or transactions.
type Clock struct {
	now     func() time.Time
	started time.Time
}

// NewClock returns a clock that starts now; now may be nil for time.Now.
func NewClock(now func() time.Time) *Clock {
	if now == nil {
		now = time.Now
	}
	return &Clock{now: now, started: now()}
}

// NowMs returns the time in milliseconds since 1970.
func (c *Clock) NowMs() int64 {
	return c.started.UnixMilli() + c.now().Sub(c.started).Milliseconds()
}
