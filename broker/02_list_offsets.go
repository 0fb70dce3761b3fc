package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// ListOffsets: v1-10
//
// Behaviour:
// * Latest is the high watermark, or the last stable offset for read_committed. What
//   was written before the request is flushed first, so that it counts.
// * The earliest local offset is the earliest: nothing is tiered. The latest
//   tiered offset is unknown (-1).
// * By timestamp: the first record at or after it, -1 if there is none. For
//   read_committed, -1 too where that is not below the last stable offset.
// * A special timestamp that the version does not have is UNSUPPORTED_VERSION; a
//   partition that is named twice is answered once, with INVALID_REQUEST.
// * Topics must be described (TOPIC_AUTHORIZATION_FAILED).
//
// KIPs:
// * KIP-98: isolation level (v2)
// * KIP-320: leader epoch (v4)
// * KIP-734: max timestamp (v7)
// * KIP-405: earliest local (v8), KIP-1005: latest tiered (v9)
// * KIP-1075: timeout (v10), never needed here

const (
	timestampLatest        = -1
	timestampEarliest      = -2
	timestampMax           = -3
	timestampEarliestLocal = -4
	timestampLatestTiered  = -5
)

func (n *Node) listOffsets(r *wire.Request, req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := newResponse[*kmsg.ListOffsetsResponse](req)
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, 0, len(req.Topics))
	repeated := repeatedPartitions(req)
	awaitAcknowledged(n.logsAskedForTheirEnd(req)...)
	for _, rt := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, 0, len(rt.Partitions))
		state := n.topics.byName(rt.Topic)
		described := n.authorize(r, acl.Describe, acl.Topic(rt.Topic))
		for _, rp := range rt.Partitions {
			tp := storage.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
			again, isRepeated := repeated[tp]
			if again {
				continue // answered already
			}
			p := kmsg.NewListOffsetsResponseTopicPartition()
			p.Partition = rp.Partition
			var err error = kerr.InvalidRequest
			switch {
			case req.IsolationLevel != 0 && req.IsolationLevel != 1:
				err = kerr.UnknownServerError // as Kafka answers a level that it does not know
			case !described:
				err = kerr.TopicAuthorizationFailed
			case isRepeated:
				repeated[tp] = true
			default:
				err = n.listOffset(req, state, rp, &p)
			}
			if err != nil {
				p.ErrorCode, p.Timestamp, p.Offset, p.LeaderEpoch = codeOf(err), -1, -1, -1
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		if len(topic.Partitions) > 0 {
			resp.Topics = append(resp.Topics, topic)
		}
	}
	return resp
}

// logsAskedForTheirEnd are those of which a request asks more than where they start.
func (n *Node) logsAskedForTheirEnd(req *kmsg.ListOffsetsRequest) []*storage.Log {
	var logs []*storage.Log
	for _, t := range req.Topics {
		state := n.topics.byName(t.Topic)
		for _, p := range t.Partitions {
			switch p.Timestamp {
			case timestampEarliest, timestampEarliestLocal, timestampLatestTiered:
				continue
			}
			if log, ok := state.log(p.Partition); ok && log != nil {
				logs = append(logs, log)
			}
		}
	}
	return logs
}

// repeatedPartitions returns the partitions that a request names more than
// once, none of which is answered yet.
func repeatedPartitions(req *kmsg.ListOffsetsRequest) map[storage.TopicPartition]bool {
	seen, repeated := make(map[storage.TopicPartition]bool), make(map[storage.TopicPartition]bool)
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tp := storage.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if seen[tp] {
				repeated[tp] = false
			}
			seen[tp] = true
		}
	}
	return repeated
}

// hasTimestamp says whether a version knows a timestamp with a special meaning.
func hasTimestamp(version int16, timestamp int64) bool {
	switch timestamp {
	case timestampLatest, timestampEarliest:
		return true
	case timestampMax:
		return version >= 7
	case timestampEarliestLocal:
		return version >= 8
	case timestampLatestTiered:
		return version >= 9
	}
	return timestamp >= 0
}

func (n *Node) listOffset(req *kmsg.ListOffsetsRequest, state *topicState, rp kmsg.ListOffsetsRequestTopicPartition, p *kmsg.ListOffsetsResponseTopicPartition) error {
	if !hasTimestamp(req.Version, rp.Timestamp) {
		return kerr.UnsupportedVersion
	}
	log, err := n.leaderLog(state, rp.Partition, rp.CurrentLeaderEpoch)
	if err != nil {
		return err
	}
	p.Timestamp, p.LeaderEpoch = -1, -1
	switch rp.Timestamp {
	case timestampLatest:
		p.Offset, p.LeaderEpoch = log.HighWatermark(), log.LeaderEpoch()
		if req.IsolationLevel == 1 {
			p.Offset = log.LastStableOffset()
		}
	case timestampEarliest, timestampEarliestLocal:
		p.Offset = log.LogStart()
		p.LeaderEpoch = log.EpochAt(p.Offset)
	case timestampLatestTiered:
		p.Offset = -1
	case timestampMax:
		p.Offset, p.Timestamp, p.LeaderEpoch, err = log.MaxTimestamp()
		hideUndecided(req, log, p)
	default:
		p.Offset, p.Timestamp, p.LeaderEpoch, err = log.OffsetForTimestamp(rp.Timestamp)
		hideUndecided(req, log, p)
	}
	return err
}

// hideUndecided answers a reader of committed records that there is none where
// the one that was found is not decided yet.
func hideUndecided(req *kmsg.ListOffsetsRequest, log *storage.Log, p *kmsg.ListOffsetsResponseTopicPartition) {
	if req.IsolationLevel == 1 && p.Offset >= log.LastStableOffset() {
		p.Offset, p.Timestamp, p.LeaderEpoch = -1, -1, -1
	}
}

// leaderLog returns the log of a partition that this node leads in the epoch
// that the client knows of.
func (n *Node) leaderLog(state *topicState, partition, clientEpoch int32) (*storage.Log, error) {
	log, ok := state.log(partition)
	switch {
	case !ok:
		return nil, kerr.UnknownTopicOrPartition
	case log == nil:
		return nil, storage.ErrOffline
	}
	if err := log.Err(); err != nil {
		return nil, err
	}
	if clientEpoch < -1 { // not "none", and older than any
		return nil, kerr.FencedLeaderEpoch
	}
	return log, checkLeaderEpoch(clientEpoch, log.LeaderEpoch())
}
