package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// CreatePartitions: v0-3
//
// Behaviour:
// * Only raises the number of partitions. The number of __consumer_offsets
//   cannot change, because groups belong to its partitions: INVALID_PARTITIONS.
// * For who may alter the topic (TOPIC_AUTHORIZATION_FAILED).
// * A client beyond its quota of mutations is throttled, from version 3 on refused.
//
// KIPs:
// * KIP-195: the API
// * KIP-599: (v3) no change here

// createPartitionsStrict is the first version that is refused beyond the quota (KIP-599).
const createPartitionsStrict = 3

func (n *Node) createPartitions(r *wire.Request, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	resp := newResponse[*kmsg.CreatePartitionsResponse](req)
	resp.Topics = make([]kmsg.CreatePartitionsResponseTopic, 0, len(req.Topics))
	names := make(map[string]int, len(req.Topics))
	for _, t := range req.Topics {
		names[t.Topic]++
	}
	for _, rt := range req.Topics {
		named := names[rt.Topic]
		if delete(names, rt.Topic); named == 0 {
			continue // answered already, as a duplicate
		}
		t := kmsg.NewCreatePartitionsResponseTopic()
		t.Topic = rt.Topic
		err := error(refuse(kerr.InvalidRequest, "Duplicate topic name."))
		switch {
		case named > 1:
		case !n.authorize(r, acl.Alter, acl.Topic(rt.Topic)):
			err = kerr.TopicAuthorizationFailed
		default:
			err = n.createPartitionsOf(r, rt, req.ValidateOnly)
		}
		t.ErrorCode, t.ErrorMessage = codeOf(err), detailOf(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (n *Node) createPartitionsOf(r *wire.Request, rt kmsg.CreatePartitionsRequestTopic, validateOnly bool) error {
	t := n.meta.Image().Topic(rt.Topic)
	if t == nil {
		return kerr.UnknownTopicOrPartition
	}
	err := n.checkPartitionCount(t, rt)
	if err == nil {
		err = n.quotas.mutate(r, int(rt.Count)-len(t.Partitions), createPartitionsStrict)
	}
	if err != nil || validateOnly {
		return err
	}
	return n.addPartitions(rt.Topic, rt.Count)
}

func (n *Node) checkPartitionCount(t *metadata.Topic, rt kmsg.CreatePartitionsRequestTopic) error {
	current := int32(len(t.Partitions))
	added := int64(rt.Count) - int64(current)
	switch {
	case t.Internal:
		return refuse(kerr.InvalidPartitions, fmt.Sprintf("The number of partitions of the internal topic %s cannot change.", t.Name))
	case added < 0:
		return refuse(kerr.InvalidPartitions, fmt.Sprintf("The topic %s currently has %d partition(s); %d would not be an increase.", t.Name, current, rt.Count))
	case added == 0:
		return refuse(kerr.InvalidPartitions, fmt.Sprintf("Topic already has %d partition(s).", current))
	case added > partitionsPerRequestMax:
		return refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")
	case rt.Assignment != nil && int64(len(rt.Assignment)) != added:
		return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", added, len(rt.Assignment)))
	}
	for _, a := range rt.Assignment {
		if err := n.checkReplicas(a.Replicas); err != nil {
			return err
		}
	}
	return nil
}
