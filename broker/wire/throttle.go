package wire

import (
	"log/slog"
	"sync"
	"time"
)

const (
	logInterval = 10 * time.Second
	logKeysMax  = 1024
)

// ThrottledLog writes at most one line per key and interval, so that a hostile
// or broken client cannot fill the log; the next line says how many were left out.
// Safe for concurrent use.
type ThrottledLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	keys map[string]*throttledKey
}

type throttledKey struct {
	last    time.Time
	omitted int
}

// NewThrottledLog returns a log without any keys yet.
func NewThrottledLog(log *slog.Logger) *ThrottledLog {
	return &ThrottledLog{log: log, now: time.Now, keys: make(map[string]*throttledKey)}
}

// connectionClosed tells why the node closed a connection.
func (t *ThrottledLog) connectionClosed(host string, c *Conn, err error) {
	omitted, ok := t.Admit(host)
	if !ok {
		return
	}
	t.log.Warn("connection closed", "listener", c.Listener(), "remote", c.RemoteAddr(), "client_id", c.ClientID(), "error", err, "omitted", omitted)
}

// Admit reports whether a line for key may be written now and how many were
// left out before it.
func (t *ThrottledLog) Admit(key string) (omitted int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	k := t.keys[key]
	if k == nil {
		if len(t.keys) >= logKeysMax {
			clear(t.keys)
		}
		t.keys[key] = &throttledKey{last: now}
		return 0, true
	}
	if now.Sub(k.last) < logInterval {
		k.omitted++
		return 0, false
	}
	omitted, k.omitted, k.last = k.omitted, 0, now
	return omitted, true
}
