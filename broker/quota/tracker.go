package quota

import (
	"sync"
	"time"
)

// TrackedMax is how many accounts a tracker keeps apart.
const TrackedMax = 10_000

// Tracker measures one kind of use of many accounts. Safe for concurrent use.
type Tracker struct {
	key Key

	mu       sync.Mutex
	accounts map[Account]*account
	swept    time.Duration
}

type account struct {
	rate   rate
	bucket bucket
	limit  float64       // at the last use
	used   time.Duration // last use
}

// NewTracker returns a tracker of one kind of use.
func NewTracker(key Key) *Tracker {
	return &Tracker{key: key, accounts: make(map[Account]*account)}
}

// Key returns what is measured.
func (t *Tracker) Key() Key { return t.key }

// Len returns the number of accounts that are kept.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.accounts)
}

// Record counts value for a client and returns for how long it has to be silent.
// now is the time since any fixed moment.
func (t *Tracker) Record(l *Limits, user, clientID string, value float64, now time.Duration) time.Duration {
	limit, who, ok := l.Of(t.key, user, clientID)
	if !ok {
		return 0
	}
	return t.record(who, limit, value, now)
}

func (t *Tracker) record(who Account, limit, value float64, now time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.account(who, limit, now)
	a.rate.record(now, value)
	return a.rate.excess(now, limit)
}

// TryRecord is Record, but what would be throttled is not counted.
func (t *Tracker) TryRecord(l *Limits, user, clientID string, value float64, now time.Duration) time.Duration {
	wait := t.Record(l, user, clientID, value, now)
	if wait > 0 {
		t.Unrecord(l, user, clientID, value, now)
	}
	return wait
}

// Unrecord takes back what was counted but did not take place.
func (t *Tracker) Unrecord(l *Limits, user, clientID string, value float64, now time.Duration) {
	t.Record(l, user, clientID, -value, now)
}

// RecordIP counts a connection from an address; one that has to wait does not count.
func (t *Tracker) RecordIP(l *Limits, ip string, now time.Duration) time.Duration {
	limit, ok := l.OfIP(t.key, ip)
	if !ok {
		return 0
	}
	who := Account{ClientID: ip}
	wait := min(t.record(who, limit, 1, now), Window)
	if wait > 0 {
		t.record(who, limit, -1, now)
	}
	return wait
}

// Max returns the most that a client could use in all windows without being
// throttled, false when it has no limit.
func (t *Tracker) Max(l *Limits, user, clientID string) (float64, bool) {
	limit, _, ok := l.Of(t.key, user, clientID)
	return limit * float64(Windows-1) * Window.Seconds(), ok
}

// Take pays for a change from the client's bucket. The wait is that until
// the bucket is no longer overdrawn. With strict nothing is taken from a bucket
// that is overdrawn: the change must be refused (KIP-599).
func (t *Tracker) Take(l *Limits, user, clientID string, tokens float64, strict bool, now time.Duration) (wait time.Duration, refused bool) {
	limit, who, ok := l.Of(t.key, user, clientID)
	if !ok {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.account(who, limit, now)
	a.bucket.fill(now, limit)
	if wait := a.bucket.debt(limit); strict && wait > 0 {
		return wait, true
	}
	a.bucket.tokens -= tokens
	if strict {
		return 0, false
	}
	return a.bucket.debt(limit), false
}

// account returns the account of a client, or the one that all share when there
// are too many. The caller holds mu.
func (t *Tracker) account(who Account, limit float64, now time.Duration) *account {
	a := t.accounts[who]
	if a == nil {
		t.sweep(now)
		if len(t.accounts) >= TrackedMax {
			who = Account{}
			a = t.accounts[who]
		}
	}
	if a == nil {
		a = &account{}
		t.accounts[who] = a
	}
	a.used, a.limit = now, limit
	return a
}

// sweep forgets, at most once in a window, who has been idle so long that nothing
// of them counts any more.
func (t *Tracker) sweep(now time.Duration) {
	if now-t.swept < Window {
		return
	}
	t.swept = now
	for who, a := range t.accounts {
		if now-a.used <= span+Window {
			continue
		}
		if a.bucket.fill(now, a.limit); a.bucket.tokens >= 0 {
			delete(t.accounts, who)
		}
	}
}
