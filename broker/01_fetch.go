package broker

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// Fetch: v4-18
//
// Behaviour:
// * Waits until min bytes are there, or the maximum wait is over, or a partition
//   has an error; woken by the log, without polling. The wait is on the
//   connection's writer, so it costs no goroutine and holds no memory.
// * Whole batches, from the one that contains the offset, at most the partition's and the
//   request's maximum, but at least one batch if any partition has one.
// * Sessions: a request names the partitions that it changes, a response those with
//   news. Bounded: who finds no room gets session id 0 and names all its partitions.
// * read_committed reads up to the last stable offset and lists the aborted
//   transactions that have records in what is returned.
// * For who may read the topic (TOPIC_AUTHORIZATION_FAILED).
// * A client beyond its quota gets an empty response and the time to wait.
// * Followers (replica id 0 and above), which need ClusterAction, are not known:
//   NOT_LEADER_OR_FOLLOWER.
// * Written by hand: record data goes from the log to the socket as it is stored, from
//   64 KiB on from the file itself (sendfile), except under TLS.
//
// KIPs:
// * KIP-74: maximum of the response (v3)
// * KIP-98: isolation level (v4)
// * KIP-227: sessions (v7)
// * KIP-320: leader epoch fencing (v9)
// * KIP-392: rack, preferred replica (v11), none is preferred
// * KIP-482: flexible, KIP-595: diverging epoch (v12)
// * KIP-516: topic ids (v13)
// * KIP-903: replica state (v15)
// * KIP-951: who leads, and where, in the answer to an older epoch (v16)

// fetchBytesMax is Kafka's fetch.max.bytes of a broker.
const fetchBytesMax = 55 << 20

type fetchTask struct {
	node      *Node
	request   *wire.Request
	version   int16
	replica   int32
	maxWait   time.Duration
	minBytes  int64
	maxBytes  int64
	isolation storage.Isolation
	err       *kerr.Error // of the whole request
	topics    []fetchTopic
	parts     []fetchPart
	fetching  fetching
	waiting   bool // registered with the logs
	emptied   bool // because the client is throttled
	renderFn  func(*wire.ResponseWriter) error
	finishFn  func()
}

type fetchTopic struct {
	name  string
	id    metadata.TopicID
	parts int // how many of the task's parts, after those of the topics before
}

type fetchPart struct {
	partition      int32
	leaderEpoch    int32 // that the client knows of, -1 for none
	lastEpoch      int32 // of the record before offset, -1 for none
	offset         int64
	maxBytes       int64
	log            *storage.Log
	err            error
	result         storage.ReadResult
	hasResult      bool
	divergingEpoch int32
	divergingEnd   int64 // -1 where nothing diverges
}

type fetchTasks struct{ pool sync.Pool }

func (p *fetchTasks) get(n *Node, r *wire.Request) *fetchTask {
	t, ok := p.pool.Get().(*fetchTask)
	if !ok {
		t = &fetchTask{}
		t.renderFn, t.finishFn = t.render, t.finish
	}
	t.node, t.request, t.version, t.err = n, r, r.Version, nil
	return t
}

func (p *fetchTasks) put(t *fetchTask) {
	clear(t.topics)
	clear(t.parts)
	t.topics, t.parts, t.request, t.emptied = t.topics[:0], t.parts[:0], nil, false
	t.fetching.reset()
	p.pool.Put(t)
}

func (n *Node) serveFetch(r *wire.Request) {
	if err := r.Check(); err != nil {
		r.Fail(err)
		return
	}
	t := n.fetchTasks.get(n, r)
	if err := t.decode(r.Body, r.Flexible()); err != nil {
		n.fetchTasks.put(t)
		r.Fail(err)
		return
	}
	r.ReplyRender(t.renderFn)
}

func (t *fetchTask) decode(body []byte, flexible bool) error {
	in, v := wire.NewReader(body, flexible), t.version
	t.replica = -1
	if v <= 14 {
		t.replica = in.Int32()
	}
	t.maxWait = time.Duration(in.Int32()) * time.Millisecond
	t.minBytes = int64(in.Int32())
	t.maxBytes = t.node.quotas.fetchBytesMax(t.request, min(int64(in.Int32()), fetchBytesMax, t.node.budget.Max()/4))
	t.minBytes = min(t.minBytes, t.maxBytes)
	t.isolation = storage.ReadUncommitted
	if in.Int8() == 1 {
		t.isolation = storage.ReadCommitted
	}
	t.fetching.epoch = fetchEpochNone
	if v >= 7 {
		t.fetching.id, t.fetching.epoch = in.Int32(), in.Int32()
	}
	for range in.ArrayLen() {
		t.decodeTopic(&in)
	}
	if v >= 7 {
		t.decodeForgotten(&in)
	}
	if v >= 11 {
		in.String() // rack
	}
	if v >= 15 {
		t.decodeTags(&in)
	} else {
		in.Tags()
	}
	return in.Err()
}

// begin finds out what is fetched, and where it is. It is called when all earlier requests of the
// connection are answered, because they may have changed the session.
func (t *fetchTask) begin() {
	t.enterSession()
	t.resolve()
	if t.replica >= 0 {
		t.refuseFollower()
	}
}

// refuseFollower answers a broker that is no replica of these partitions.
func (t *fetchTask) refuseFollower() {
	isBroker := t.node.authorize(t.request, acl.ClusterAction, acl.Cluster())
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case !isBroker:
			p.err, p.log, p.divergingEnd = kerr.TopicAuthorizationFailed, nil, -1
		case p.log != nil || errors.Is(p.err, kerr.TopicAuthorizationFailed):
			p.err, p.log, p.divergingEnd = kerr.NotLeaderForPartition, nil, -1
		}
	}
}

// decodeTags looks for the replica state, which took the place of the replica id.
func (t *fetchTask) decodeTags(in *wire.Reader) {
	in.EachTag(func(tag uint32, value []byte) {
		if tag == 1 && len(value) >= 4 {
			t.replica = int32(binary.BigEndian.Uint32(value))
		}
	})
}

func (t *fetchTask) decodeTopic(in *wire.Reader) {
	key := t.decodeTopicKey(in)
	for range in.ArrayLen() {
		want := fetchWant{leaderEpoch: -1, lastEpoch: -1}
		key.partition = in.Int32()
		if t.version >= 9 {
			want.leaderEpoch = in.Int32()
		}
		want.offset = in.Int64()
		if t.version >= 12 {
			want.lastEpoch = in.Int32()
		}
		if t.version >= 5 {
			in.Int64() // log start offset of a follower
		}
		want.maxBytes = in.Int32()
		in.Tags()
		t.fetching.changed = append(t.fetching.changed, sessionRequest{key, want})
	}
	in.Tags()
}

// decodeTopicKey reads the name or id of a topic.
func (t *fetchTask) decodeTopicKey(in *wire.Reader) (key sessionKey) {
	if t.version >= 13 {
		key.id = in.UUID()
		return key
	}
	name := in.String()
	if state := t.node.topics.byNameBytes(name); state != nil {
		key.name = state.name
	} else {
		key.name = string(name)
	}
	return key
}

// resolve makes the parts of what is fetched, with their logs or errors.
func (t *fetchTask) resolve() {
	var state *topicState
	var refused error
	missing := kerr.UnknownTopicOrPartition
	if t.version >= 13 {
		missing = kerr.UnknownTopicID
	}
	for i := range t.fetching.all {
		r := &t.fetching.all[i]
		if n := len(t.topics); n == 0 || t.topics[n-1].id != r.key.id || t.topics[n-1].name != r.key.name {
			t.topics = append(t.topics, fetchTopic{id: r.key.id, name: r.key.name})
			state = t.topicOf(&r.key)
			refused = t.refusal(state, r.key.name)
		}
		t.topics[len(t.topics)-1].parts++
		part := fetchPart{
			partition: r.key.partition, leaderEpoch: r.want.leaderEpoch, lastEpoch: r.want.lastEpoch,
			offset: r.want.offset, maxBytes: int64(r.want.maxBytes), divergingEnd: -1, err: refused,
		}
		if refused == nil {
			part.resolve(state, missing)
		}
		t.parts = append(t.parts, part)
	}
}

func (t *fetchTask) topicOf(key *sessionKey) *topicState {
	if t.version >= 13 {
		return t.node.topics.byID(key.id)
	}
	return t.node.topics.byName(key.name)
}

// refusal returns TOPIC_AUTHORIZATION_FAILED for a topic that a consumer may not
// read. Followers are looked at in refuseFollower: newer versions tell who they
// are after the topics.
func (t *fetchTask) refusal(state *topicState, name string) error {
	if state != nil {
		name = state.name
	}
	if t.node.authorizer == nil || t.replica >= 0 || t.version >= 13 && state == nil || t.node.authorize(t.request, acl.Read, acl.Topic(name)) {
		return nil
	}
	return kerr.TopicAuthorizationFailed
}

func (t *fetchTask) decodeForgotten(in *wire.Reader) {
	for range in.ArrayLen() {
		key := t.decodeTopicKey(in)
		for range in.ArrayLen() {
			key.partition = in.Int32()
			t.fetching.forgotten = append(t.fetching.forgotten, key)
		}
		in.Tags()
	}
}

// resolve finds the part's log, or its error.
func (p *fetchPart) resolve(state *topicState, missing *kerr.Error) {
	log, ok := state.log(p.partition)
	switch {
	case state == nil:
		p.err = missing
	case !ok:
		p.err = kerr.UnknownTopicOrPartition
	case log == nil:
		p.err = storage.ErrOffline
	default:
		p.err = checkLeaderEpoch(p.leaderEpoch, log.LeaderEpoch())
		p.log = log
	}
	if p.err != nil {
		p.log = nil
		return
	}
	if p.lastEpoch >= 0 {
		p.checkDivergence()
	}
}

// checkDivergence tells a client that knows a record which this log does not have
// from where on they differ (KIP-595).
func (p *fetchPart) checkDivergence() {
	epoch, end := p.log.EpochEndOffset(p.lastEpoch)
	switch {
	case epoch < 0 || end < 0:
		p.err, p.log = kerr.OffsetOutOfRange, nil
	case epoch < p.lastEpoch || end < p.offset:
		p.divergingEpoch, p.divergingEnd = epoch, end
	}
}

// checkLeaderEpoch fences a client whose metadata is older than this node's (KIP-320).
func checkLeaderEpoch(client, current int32) error {
	switch {
	case client < 0 || client == current:
		return nil
	case client < current:
		return kerr.FencedLeaderEpoch
	}
	return kerr.UnknownLeaderEpoch
}

// decided reports whether the part's answer does not depend on waiting.
func (p *fetchPart) decided() bool {
	if p.log == nil || p.divergingEnd >= 0 || p.log.Err() != nil {
		return true
	}
	return p.offset < p.log.LogStart() || p.offset > p.log.LogEnd()
}

// limit is the offset below which the part may read.
func (p *fetchPart) limit(i storage.Isolation) int64 {
	if i == storage.ReadCommitted {
		return p.log.LastStableOffset()
	}
	return p.log.HighWatermark()
}
