package broker

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/metadata"
)

// Epochs of a fetch session with a meaning of their own (KIP-227).
const (
	fetchEpochFirst = 0  // all partitions, and a session for them, please
	fetchEpochNone  = -1 // all partitions, and no session
)

// sessionKey names a partition of a session: by the topic's id from version 13 on, by its
// name before.
type sessionKey struct {
	id        metadata.TopicID
	name      string
	partition int32
}

// sessionPart is what a client wants of a partition, and what it was last told.
type sessionPart struct {
	key            sessionKey
	want           fetchWant
	highWatermark  int64 // -1 also after an error: the next good answer is told
	logStart       int64
	previous, next *sessionPart // in the order of the session
}

// fetchWant is what a request says about a partition.
type fetchWant struct {
	leaderEpoch, lastEpoch int32
	offset                 int64
	maxBytes               int32
}

// fetchTold is what a response says about a partition, as far as a session goes by it.
type fetchTold struct {
	highWatermark, logStart int64
	hasData, failed         bool
	diverges                bool // from what the client has (KIP-595)
}

// sessionRequest is one partition of a request.
type sessionRequest struct {
	key  sessionKey
	want fetchWant
}

// fetchSession is the partitions that a client fetches, so that its requests need to name only
// those that change, and the responses only those with news. A pure core: it
// reads no clock and calls nobody.
//
// Partitions with data go to the end of the order, so that those at its end get
// their turn when a response is full (KIP-227).
type fetchSession struct {
	id      int32
	byID    bool // topics are named by their ids
	created time.Time
	used    time.Time // protected by the cache's lock
	size    int       // partitions as the cache counts them; protected by the cache's lock

	mu          sync.Mutex
	epoch       int32 // of the next request
	parts       map[sessionKey]*sessionPart
	first, last *sessionPart
}

// nextFetchEpoch is the epoch after epoch: it never becomes one with a meaning of its own.
func nextFetchEpoch(epoch int32) int32 {
	if epoch < 1 || epoch == 1<<31-1 {
		return 1
	}
	return epoch + 1
}

// resume takes over what a request changes, and returns all partitions in the session's
// order. The session's epoch is then that of the next request.
func (s *fetchSession) resume(epoch int32, byID bool, changed []sessionRequest, forgotten []sessionKey) ([]sessionRequest, *kerr.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case epoch != s.epoch:
		return nil, kerr.InvalidFetchSessionEpoch
	case byID != s.byID:
		return nil, kerr.FetchSessionTopicIDError
	}
	for i := range changed {
		s.put(&changed[i])
	}
	for _, key := range forgotten {
		if p := s.parts[key]; p != nil {
			s.unlink(p)
			delete(s.parts, key)
		}
	}
	s.epoch = nextFetchEpoch(s.epoch)
	all := make([]sessionRequest, 0, len(s.parts))
	for p := s.first; p != nil; p = p.next {
		all = append(all, sessionRequest{p.key, p.want})
	}
	return all, nil
}

func (s *fetchSession) put(r *sessionRequest) {
	p := s.parts[r.key]
	if p == nil {
		p = &sessionPart{key: r.key, highWatermark: -1, logStart: -1}
		s.parts[r.key] = p
		s.link(p)
	}
	p.want = r.want
}

// tell takes note of the answer to the request whose epoch came before expected. What it
// returns says which of the partitions have news and are to be named; an
// error means that the session has gone on without this request.
func (s *fetchSession) tell(expected int32, all []sessionRequest, told []fetchTold) ([]bool, *kerr.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != expected {
		return nil, kerr.InvalidFetchSessionEpoch
	}
	named := make([]bool, len(all))
	for i := range all {
		p := s.parts[all[i].key]
		if p == nil {
			continue // cannot be: the epoch would be another
		}
		named[i] = p.update(&told[i])
		if told[i].hasData {
			s.unlink(p)
			s.link(p)
		}
	}
	return named, nil
}

// current returns whether the session's next epoch is the expected one.
func (s *fetchSession) current(expected int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch == expected
}

// update reports whether there is news of a partition.
func (p *sessionPart) update(told *fetchTold) bool {
	news := told.hasData || told.failed || told.diverges || told.highWatermark != p.highWatermark || told.logStart != p.logStart
	p.highWatermark, p.logStart = told.highWatermark, told.logStart
	if told.failed {
		p.highWatermark = -1
	}
	return news
}

func (s *fetchSession) link(p *sessionPart) {
	p.previous, p.next = s.last, nil
	if s.last != nil {
		s.last.next = p
	} else {
		s.first = p
	}
	s.last = p
}

func (s *fetchSession) unlink(p *sessionPart) {
	if p.previous != nil {
		p.previous.next = p.next
	} else {
		s.first = p.next
	}
	if p.next != nil {
		p.next.previous = p.previous
	} else {
		s.last = p.previous
	}
}
