package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// fetchSessionsMax is Kafka's max.incremental.fetch.session.cache.slots.
	fetchSessionsMax = 1000
	// fetchSessionEviction is how long a session is safe from being evicted by another: since it
	// was made, or, for one that wants more partitions, since it was last used
	// (Kafka's min.incremental.fetch.session.eviction.ms).
	fetchSessionEviction = 2 * time.Minute
	// fetchSessionPartsMax bounds the partitions of all sessions together, about 100 MiB.
	fetchSessionPartsMax = 500_000
)

// fetchSessions are the sessions of all clients (KIP-227). A client that gets none
// names all partitions in each request.
type fetchSessions struct {
	sessionsMax, partsMax int
	newID                 func() int32 // any number; another is asked for when it is taken

	mu       sync.Mutex
	sessions map[int32]*fetchSession // protected by mu
	parts    int                     // of all sessions; protected by mu
}

func newFetchSessions(sessionsMax, partsMax int, newID func() int32) *fetchSessions {
	return &fetchSessions{sessionsMax: sessionsMax, partsMax: partsMax, newID: newID, sessions: map[int32]*fetchSession{}}
}

// open makes a session for the partitions of a request and what its response said of them, and returns its id; 0
// when there is no room.
func (c *fetchSessions) open(byID bool, requests []sessionRequest, told []fetchTold, now time.Time) int32 {
	s := &fetchSession{byID: byID, created: now, used: now, epoch: nextFetchEpoch(fetchEpochFirst), parts: make(map[sessionKey]*sessionPart, len(requests))}
	for i := range requests {
		s.put(&requests[i])
		s.parts[requests[i].key].update(&told[i])
	}
	s.size = len(s.parts)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom(s.size, now) {
		return 0
	}
	for s.id <= 0 || c.sessions[s.id] != nil {
		s.id = c.newID()
	}
	c.sessions[s.id] = s
	c.parts += s.size
	return s.id
}

// makeRoom evicts what may go for a session of a number of partitions: one that was not used for
// long, else the smallest of those that are old enough, if it is not larger than the
// new one. It is called with mu held.
func (c *fetchSessions) makeRoom(size int, now time.Time) bool {
	if c.parts+size > c.partsMax {
		return false
	}
	if len(c.sessions) < c.sessionsMax {
		return true
	}
	var idle, smallest *fetchSession
	for _, s := range c.sessions {
		if idle == nil || s.used.Before(idle.used) {
			idle = s
		}
		if now.Sub(s.created) > fetchSessionEviction && (smallest == nil || s.size < smallest.size || s.size == smallest.size && s.id < smallest.id) {
			smallest = s
		}
	}
	switch {
	case idle == nil:
		return false
	case now.Sub(idle.used) > fetchSessionEviction:
		c.remove(idle)
	case smallest != nil && smallest.size <= size:
		c.remove(smallest)
	default:
		return false
	}
	return true
}

func (c *fetchSessions) remove(s *fetchSession) {
	delete(c.sessions, s.id)
	c.parts -= s.size
}

// close ends a session, if it is there.
func (c *fetchSessions) close(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[id]; s != nil {
		c.remove(s)
	}
}

// resume finds the session of a request and takes over what the request changes. A session without
// partitions is over; it is not returned.
//
// Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
func (c *fetchSessions) resume(id, epoch int32, byID bool, changed []sessionRequest, forgotten []sessionKey, now time.Time) (*fetchSession, []sessionRequest, *kerr.Error) {
	c.mu.Lock()
	s := c.sessions[id]
	room := s != nil && c.parts+len(changed) <= c.partsMax
	c.mu.Unlock()
	if !room {
		// A session that cannot grow is as good as none: the client names everything again.
		c.close(id)
		return nil, nil, kerr.FetchSessionIDNotFound
	}
	all, err := s.resume(epoch, byID, changed, forgotten)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions[id] == s {
		c.parts += len(all) - s.size
		s.size, s.used = len(all), now
		if len(all) == 0 {
			c.remove(s)
		}
	}
	if len(all) == 0 {
		return nil, nil, nil
	}
	return s, all, nil
}

func (c *fetchSessions) registerMetrics(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_broker_" + name, Help: help}, func() float64 { return float64(value()) })
	}
	sessions := gauge("fetch_sessions", "Fetch sessions of clients.", func() int { n, _ := c.count(); return n })
	parts := gauge("fetch_session_partitions", "Partitions in the fetch sessions of clients.", func() int { _, n := c.count(); return n })
	return errors.Join(reg.Register(sessions), reg.Register(parts))
}

// count returns the sessions and their partitions.
func (c *fetchSessions) count() (sessions, parts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions), c.parts
}
