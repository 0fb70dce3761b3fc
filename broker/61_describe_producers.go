package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeProducers: v0
//
// Behaviour:
// * Answers the idempotent and transactional producers that a partition
//   remembers, in the order of their ids. The coordinator epoch is that of the last
//   marker, the start offset that of the ongoing transaction; -1 for none.
// * A partition that is named again in the request is answered once: a few
//   bytes must not ask for the same 50,000 producers over and over.
// * For who may read the topic.
//
// KIPs:
// * KIP-664: the API

func (n *Node) describeProducers(r *wire.Request, req *kmsg.DescribeProducersRequest) *kmsg.DescribeProducersResponse {
	resp := newResponse[*kmsg.DescribeProducersResponse](req)
	resp.Topics = make([]kmsg.DescribeProducersResponseTopic, 0, len(req.Topics))
	answered := make(map[storage.TopicPartition]bool)
	for _, rt := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.DescribeProducersResponseTopicPartition, 0, len(rt.Partitions))
		for _, partition := range rt.Partitions {
			tp := storage.TopicPartition{Topic: rt.Topic, Partition: partition}
			if answered[tp] {
				continue
			}
			answered[tp] = true
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = partition
			producers, err := n.activeProducers(r, tp)
			p.ActiveProducers, p.ErrorCode, p.ErrorMessage = producers, codeOf(err), detailOf(err)
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// activeProducers returns an empty slice, not nil, beside an error.
func (n *Node) activeProducers(r *wire.Request, tp storage.TopicPartition) ([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, error) {
	none := []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
	if err := checkTopicName(tp.Topic); err != nil {
		return none, err
	}
	if !n.authorize(r, acl.Read, acl.Topic(tp.Topic)) {
		return none, refuse(kerr.TopicAuthorizationFailed, "Topic authorization failed.")
	}
	state := n.topics.byName(tp.Topic)
	if state == nil {
		return none, refuse(kerr.UnknownTopicOrPartition, "This server does not host this topic-partition.")
	}
	log, err := n.leaderLog(state, tp.Partition, -1)
	if err != nil {
		return none, err
	}
	states := log.ActiveProducers()
	out := make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, len(states))
	for i, s := range states {
		p := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		p.ProducerID, p.ProducerEpoch, p.LastSequence, p.LastTimestamp = s.ProducerID, int32(s.Epoch), s.LastSequence, s.LastTimestampMs
		p.CoordinatorEpoch, p.CurrentTxnStartOffset = s.CoordinatorEpoch, s.TxnFirstOffset
		out[i] = p
	}
	return out, nil
}
