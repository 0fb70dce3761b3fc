package core

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetID names what an offset is committed for.
type offsetID struct {
	group, topic string
	partition    int32
}

// pendingOffset is an offset of an open transaction, with its position in the log.
type pendingOffset struct {
	change   change
	position int64
}

// openTransactions holds the offsets of transactions that are not decided
// (TxnOffsetCommit): nobody sees them until the marker comes. Of what a
// producer commits repeatedly only the last counts, so that the
// number of offsets bounds them.
type openTransactions struct {
	producers map[int64]map[offsetID]pendingOffset
	// Invariant: pending and groups count the entries of producers.
	pending map[offsetID]int
	groups  map[string]int
}

func newOpenTransactions() openTransactions {
	return openTransactions{producers: map[int64]map[offsetID]pendingOffset{}, pending: map[offsetID]int{}, groups: map[string]int{}}
}

func (o *openTransactions) add(producerID int64, p pendingOffset) {
	id := offsetID{p.change.group, p.change.topic, p.change.partition}
	if o.producers[producerID] == nil {
		o.producers[producerID] = map[offsetID]pendingOffset{}
	}
	if _, repeated := o.producers[producerID][id]; !repeated {
		o.pending[id]++
		o.groups[id.group]++
	}
	o.producers[producerID][id] = p
}

// end takes the offsets of a transaction out, in the order of the log.
func (o *openTransactions) end(producerID int64) []pendingOffset {
	all := make([]pendingOffset, 0, len(o.producers[producerID]))
	for id, p := range o.producers[producerID] {
		all = append(all, p)
		o.uncount(id)
	}
	delete(o.producers, producerID)
	slices.SortFunc(all, func(a, b pendingOffset) int { return int(a.position - b.position) })
	return all
}

// drop forgets what transactions were to commit for id: it was deleted since.
func (o *openTransactions) drop(id offsetID) {
	if o.pending[id] == 0 {
		return
	}
	for producerID, offsets := range o.producers {
		if _, ok := offsets[id]; !ok {
			continue
		}
		delete(offsets, id)
		o.uncount(id)
		if len(offsets) == 0 {
			delete(o.producers, producerID)
		}
	}
}

func (o *openTransactions) uncount(id offsetID) {
	if o.pending[id]--; o.pending[id] == 0 {
		delete(o.pending, id)
	}
	if o.groups[id.group]--; o.groups[id.group] == 0 {
		delete(o.groups, id.group)
	}
}

// of returns what open transactions are to commit for a group, in order.
func (o *openTransactions) of(group string) []offsetID {
	if o.groups[group] == 0 {
		return nil
	}
	var ids []offsetID
	for id := range o.pending {
		if id.group == group {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b offsetID) int {
		if by := strings.Compare(a.topic, b.topic); by != 0 {
			return by
		}
		return int(a.partition) - int(b.partition)
	})
	return ids
}

// topicID returns the id of the topic that a pending offset was committed for.
func (o *openTransactions) topicID(id offsetID) [16]byte {
	for _, offsets := range o.producers {
		if p, ok := offsets[id]; ok {
			return p.change.offset.topicID
		}
	}
	return [16]byte{}
}

// nextPosition numbers what the log says, in its order: of two commits the later one counts.
func (s *Shard) nextPosition() int64 {
	s.position++
	return s.position
}

// pend keeps an offset of an open transaction aside.
func (s *Shard) pend(producerID int64, c change) {
	if c.kind != changeOffset {
		return // transactions commit offsets and nothing else
	}
	s.groupOf(c.group)
	s.open.add(producerID, pendingOffset{c, s.nextPosition()})
}

// AppendedTransactional is [Shard.Appended] for the records of a TxnOffsetCommit.
func (s *Shard) AppendedTransactional(producerID int64, records []Record) {
	for _, r := range records {
		s.pend(producerID, r.change)
	}
}

// ReplayTransactional keeps a record of an open transaction aside (TxnOffsetCommit)
// until [Shard.ReplayMarker] decides about it.
func (s *Shard) ReplayTransactional(producerID int64, key, value []byte) error {
	c, err := decode(key, value)
	if err != nil {
		return err
	}
	s.pend(producerID, c)
	return nil
}

// ReplayMarker ends the transaction of a producer: its offsets become visible,
// except where a later commit came before the marker, or they vanish.
func (s *Shard) ReplayMarker(producerID int64, commit bool) {
	for _, p := range s.open.end(producerID) {
		c := p.change
		if commit {
			if before, ok := s.groupOf(c.group).offsets[c.topic][c.partition]; !ok || before.position < p.position {
				s.applyOffset(c, p.position)
			}
		}
		if g := s.groups[c.group]; g != nil {
			s.forgetIfIdle(g)
		}
	}
}

func (s *Shard) applyOffset(c change, position int64) {
	g := s.groupOf(c.group)
	if g.offsets[c.topic] == nil {
		g.offsets[c.topic] = map[int32]offset{}
	}
	c.offset.position = position
	g.offsets[c.topic][c.partition] = c.offset
}

// txnOffsetCommit handles TxnOffsetCommit (28), versions 0 to 5. That the
// transaction has the partition of the group was verified before.
func (s *Shard) txnOffsetCommit(in Input, req *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	code := s.checkTxnCommit(req)
	r := kmsg.NewPtrTxnOffsetCommitResponse()
	r.Version, r.Topics = req.Version, make([]kmsg.TxnOffsetCommitResponseTopic, 0, len(req.Topics))
	places := make(map[string]int, len(req.Topics)) // a topic that is named twice is answered in one place
	for _, t := range req.Topics {
		place, again := places[t.Topic]
		if !again {
			place, places[t.Topic] = len(r.Topics), len(r.Topics)
			to := kmsg.NewTxnOffsetCommitResponseTopic()
			to.Topic, to.Partitions = t.Topic, make([]kmsg.TxnOffsetCommitResponseTopicPartition, 0, len(t.Partitions))
			r.Topics = append(r.Topics, to)
		}
		to := &r.Topics[place]
		topic, known := in.topic(t.Topic)
		for _, p := range t.Partitions {
			one := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			one.Partition, one.ErrorCode = p.Partition, code
			switch {
			case !known || p.Partition < 0 || p.Partition >= topic.Partitions:
				one.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case code != 0:
			case p.Metadata != nil && len(*p.Metadata) > s.cfg.OffsetMetadataBytesMax:
				one.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			default:
				o := offset{offset: p.Offset, leaderEpoch: p.LeaderEpoch, commitMs: s.nowMs, expireMs: -1, topicID: topic.ID}
				if p.Metadata != nil {
					o.metadata = *p.Metadata
				}
				s.write(offsetRecord(req.Group, t.Topic, p.Partition, o))
			}
			to.Partitions = append(to.Partitions, one)
		}
	}
	return r
}

// checkTxnCommit says who may commit in a transaction (KIP-447): whoever names
// no member, as older clients do, or a member in its generation.
func (s *Shard) checkTxnCommit(req *kmsg.TxnOffsetCommitRequest) int16 {
	g := s.groups[req.Group]
	named := req.Generation >= 0 || req.MemberID != "" || req.InstanceID != nil
	switch {
	case req.Group == "":
		return kerr.InvalidGroupID.Code
	case g == nil && req.Generation >= 0:
		return kerr.IllegalGeneration.Code
	case g == nil && len(s.groups) >= s.cfg.GroupsMax:
		return kerr.CoordinatorNotAvailable.Code
	case g == nil:
		return 0
	case g.consumer != nil:
		code := g.consumer.checkTransactionalCommit(req.MemberID, req.InstanceID, req.Generation)
		if code == kerr.StaleMemberEpoch.Code {
			code = kerr.IllegalGeneration.Code // all that the API knows
		}
		return code
	case !named, req.Generation < 0 && g.state == Empty:
		return 0
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != 0 {
		return code
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration.Code
	}
	return 0
}

func txnCommitError(req *kmsg.TxnOffsetCommitRequest, code int16) kmsg.Response {
	r := kmsg.NewPtrTxnOffsetCommitResponse()
	r.Version, r.Topics = req.Version, []kmsg.TxnOffsetCommitResponseTopic{}
	for _, t := range req.Topics {
		to := kmsg.NewTxnOffsetCommitResponseTopic()
		to.Topic, to.Partitions = t.Topic, []kmsg.TxnOffsetCommitResponseTopicPartition{}
		for _, p := range t.Partitions {
			to.Partitions = append(to.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		r.Topics = append(r.Topics, to)
	}
	return r
}
