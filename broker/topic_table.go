package broker

import (
	"sync"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
)

// topicState is a topic of this node with its logs. It is immutable; a change
// of the topic puts another one in its place.
type topicState struct {
	name     string
	id       metadata.TopicID
	internal bool
	// logs by partition number; nil for one that could not be opened.
	logs []*storage.Log
}

// log returns the log of a partition. There is no such partition when ok is
// false; a nil log is offline.
func (t *topicState) log(partition int32) (l *storage.Log, ok bool) {
	if t == nil || partition < 0 || int(partition) >= len(t.logs) {
		return nil, false
	}
	return t.logs[partition], true
}

// topicTable finds topics by name and id. Safe for concurrent use.
type topicTable struct {
	mu    sync.RWMutex
	names map[string]*topicState
	ids   map[metadata.TopicID]*topicState
}

func newTopicTable() *topicTable {
	return &topicTable{names: map[string]*topicState{}, ids: map[metadata.TopicID]*topicState{}}
}

// byName does not keep name.
func (t *topicTable) byName(name string) *topicState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.names[name]
}

// byNameBytes looks up without allocating.
func (t *topicTable) byNameBytes(name []byte) *topicState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.names[string(name)]
}

func (t *topicTable) byID(id metadata.TopicID) *topicState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.ids[id]
}

func (t *topicTable) put(s *topicState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names[s.name], t.ids[s.id] = s, s
}

func (t *topicTable) remove(s *topicState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.names, s.name)
	delete(t.ids, s.id)
}

// all returns every topic, in no order.
func (t *topicTable) all() []*topicState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*topicState, 0, len(t.names))
	for _, s := range t.names {
		out = append(out, s)
	}
	return out
}
