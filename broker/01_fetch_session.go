package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// fetching is what a request fetches, by itself or in a session.
type fetching struct {
	id, epoch int32            // of the request
	changed   []sessionRequest // what the request names
	forgotten []sessionKey     // what it takes out of its session
	all       []sessionRequest // what is fetched
	session   *fetchSession    // that the request goes on with; nil for none
	told      []fetchTold
}

func (f *fetching) reset() {
	clear(f.changed)
	clear(f.forgotten)
	*f = fetching{changed: f.changed[:0], forgotten: f.forgotten[:0], told: f.told[:0]}
}

// enterSession finds out what is fetched: what the request names, or what its session holds
// after the changes that it names. A full request ends the session that it names.
func (t *fetchTask) enterSession() {
	f := &t.fetching
	f.all = f.changed
	if f.epoch == fetchEpochFirst || f.epoch == fetchEpochNone {
		if f.id != 0 {
			t.node.fetchSessions.close(f.id)
		}
		return
	}
	f.session, f.all, t.err = t.node.fetchSessions.resume(f.id, f.epoch, t.version >= 13, f.changed, f.forgotten, time.Now())
}

// tellSession takes note in the session of what is answered, leaves out of an answer what has no
// news, and returns the session's id for the response, 0 for none.
func (t *fetchTask) tellSession() int32 {
	f := &t.fetching
	switch {
	case t.err != nil:
		return 0
	case f.session == nil:
		if f.epoch != fetchEpochFirst || t.emptied {
			return 0
		}
		return t.node.fetchSessions.open(t.version >= 13, f.all, t.tellings(), time.Now())
	case t.emptied:
		if !f.session.current(nextFetchEpoch(f.epoch)) {
			t.err = kerr.InvalidFetchSessionEpoch
		}
		return f.session.id
	}
	named, err := f.session.tell(nextFetchEpoch(f.epoch), f.all, t.tellings())
	if t.err = err; err == nil {
		t.leaveOut(named)
	}
	return f.session.id
}

// tellings are what the response says about the parts.
func (t *fetchTask) tellings() []fetchTold {
	told := t.fetching.told[:0]
	for i := range t.parts {
		p := &t.parts[i]
		highWatermark, _, start := p.offsets()
		told = append(told, fetchTold{
			highWatermark: highWatermark, logStart: start,
			hasData: p.result.Size() > 0, failed: p.err != nil, diverges: p.err == nil && p.divergingEnd >= 0,
		})
	}
	t.fetching.told = told
	return told
}

// leaveOut keeps only the named parts. The others have no data.
func (t *fetchTask) leaveOut(named []bool) {
	parts, topics, next := t.parts[:0], t.topics[:0], 0
	for _, topic := range t.topics {
		of := t.parts[next : next+topic.parts]
		kept := 0
		for j := range of {
			if named[next+j] {
				parts = append(parts, of[j])
				kept++
			}
		}
		next += topic.parts
		if topic.parts = kept; kept > 0 {
			topics = append(topics, topic)
		}
	}
	clear(t.parts[len(parts):])
	clear(t.topics[len(topics):])
	t.parts, t.topics = parts, topics
}
