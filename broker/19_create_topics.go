package broker

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// CreateTopics: v0-7
//
// Behaviour:
// * -1 partitions or replicas take the defaults, as does 1 for replicas; more
//   replicas than brokers are INVALID_REPLICATION_FACTOR.
// * Assignments must name this node for partitions 0 to n-1.
// * A name that occurs twice in a request fails once, with INVALID_REQUEST, and so
//   does __cluster_metadata.
// * A topic that was answered without error is durable.
// * For who may create topics in the cluster, or this one. Its configs are told to
//   those who may describe them.
// * A client beyond its quota of mutations is throttled, from version 6 on refused.
//
// KIPs:
// * KIP-4: the API, validate only (v1)
// * KIP-464: defaults (v4)
// * KIP-525: configs in the response (v5)
// * KIP-516: topic ids (v7)

// createTopicsStrict is the first version that is refused beyond the quota (KIP-599).
const createTopicsStrict = 6

func (n *Node) createTopics(r *wire.Request, req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	resp := newResponse[*kmsg.CreateTopicsResponse](req)
	resp.Topics = make([]kmsg.CreateTopicsResponseTopic, 0, len(req.Topics))
	names := make(map[string]int, len(req.Topics))
	for _, t := range req.Topics {
		names[t.Topic]++
	}
	left := int64(partitionsPerRequestMax)
	anyTopic := n.mayDo(r, acl.Create, acl.Cluster())
	for _, rt := range req.Topics {
		repeated := names[rt.Topic] > 1
		if names[rt.Topic] == 0 {
			continue // answered already
		}
		if repeated {
			names[rt.Topic] = 0
		}
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = rt.Topic, -1, -1
		t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		err := error(refuse(kerr.InvalidRequest, "Duplicate topic name."))
		switch {
		case repeated:
		case rt.Topic == metadataTopic:
			err = refuse(kerr.InvalidRequest, "Creation of internal topic "+metadataTopic+" is prohibited.")
		case !anyTopic && !n.authorize(r, acl.Create, acl.Topic(rt.Topic)):
			err = refuse(kerr.TopicAuthorizationFailed, "Authorization failed.")
		default:
			err = n.createOne(r, req, rt, &left, &t)
			if err == nil && !n.mayDo(r, acl.DescribeConfigs, acl.Topic(rt.Topic)) {
				hideConfigs(&t)
			}
		}
		t.ErrorCode, t.ErrorMessage = codeOf(err), messageOf(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// hideConfigs leaves out what only those may see who may describe the topic's configs.
func hideConfigs(t *kmsg.CreateTopicsResponseTopic) {
	t.ConfigErrorCode = kerr.TopicAuthorizationFailed.Code
	t.NumPartitions, t.ReplicationFactor = -1, -1
	t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
}

func (n *Node) createOne(r *wire.Request, req *kmsg.CreateTopicsRequest, rt kmsg.CreateTopicsRequestTopic, left *int64, out *kmsg.CreateTopicsResponseTopic) error {
	spec, err := n.newTopicSpec(rt)
	if err != nil {
		return err
	}
	if *left -= int64(spec.partitions); *left < 0 {
		return refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")
	}
	topic := &metadata.Topic{Name: spec.name, ID: newID(), Configs: spec.configs} // ValidateOnly gives an id too, which nobody has
	image := n.meta.Image()
	if err = n.checkNewTopic(image, spec); err == nil {
		err = n.quotas.mutate(r, int(spec.partitions), createTopicsStrict)
	}
	if err == nil && !req.ValidateOnly {
		topic, err = n.createTopic(spec)
	}
	if err != nil {
		return err
	}
	if !req.ValidateOnly && spec.name == offsetsTopic {
		n.loadGroups()
	}
	out.TopicID, out.NumPartitions, out.ReplicationFactor = topic.ID, spec.partitions, 1
	for i := range n.configs.topic {
		d := &n.configs.topic[i]
		if !d.isShown(topic) {
			continue
		}
		v := n.describeTopicConfig(image, topic, d)
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.ReadOnly, c.Source = d.name, v.Value, v.ReadOnly, int8(v.Source)
		out.Configs = append(out.Configs, c)
	}
	return nil
}

// newTopicSpec checks what concerns the topic alone.
func (n *Node) newTopicSpec(rt kmsg.CreateTopicsRequestTopic) (topicSpec, error) {
	spec := topicSpec{name: rt.Topic, partitions: rt.NumPartitions, internal: isInternalName(rt.Topic)}
	if err := checkTopicName(rt.Topic); err != nil {
		return spec, err
	}
	if len(rt.Configs) > 0 {
		spec.configs = make(map[string]string, len(rt.Configs))
	}
	for _, c := range rt.Configs {
		if c.Value == nil {
			return spec, refuse(kerr.InvalidConfig, "Null value not supported for topic configs: "+c.Name)
		}
		spec.configs[c.Name] = *c.Value
	}
	if err := n.checkTopicConfigs(spec.configs); err != nil {
		return spec, err
	}
	switch {
	case len(rt.ReplicaAssignment) > 0:
		if rt.ReplicationFactor != -1 {
			return spec, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
		}
		if rt.NumPartitions != -1 {
			return spec, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
		}
		if err := n.checkAssignment(rt.ReplicaAssignment); err != nil {
			return spec, err
		}
		spec.partitions = int32(len(rt.ReplicaAssignment))
	case rt.NumPartitions == -1:
		spec.partitions = n.cfg.DefaultPartitions
		if spec.name == offsetsTopic {
			spec.partitions = n.cfg.OffsetsPartitions
		}
	case rt.NumPartitions < 1:
		return spec, refuse(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if len(rt.ReplicaAssignment) == 0 && rt.ReplicationFactor != -1 && rt.ReplicationFactor != 1 {
		if rt.ReplicationFactor < 1 {
			return spec, refuse(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
		}
		return spec, refuse(kerr.InvalidReplicationFactor, fmt.Sprintf("Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only 1 broker(s) are registered.", rt.ReplicationFactor, rt.ReplicationFactor))
	}
	return spec, nil
}

func (n *Node) checkAssignment(assignment []kmsg.CreateTopicsRequestTopicReplicaAssignment) error {
	seen := make(map[int32]bool, len(assignment))
	for _, a := range assignment {
		if seen[a.Partition] {
			return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("Found multiple manual partition assignments for partition %d", a.Partition))
		}
		seen[a.Partition] = true
		if err := n.checkReplicas(a.Replicas); err != nil {
			return err
		}
	}
	for i := range int32(len(assignment)) {
		if !seen[i] {
			return refuse(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
	}
	return nil
}

// checkReplicas refuses every assignment of a partition but the one there is.
func (n *Node) checkReplicas(replicas []int32) error {
	if len(replicas) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		switch {
		case i > 0 && id == sorted[i-1]:
			return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes the broker %d more than once.", id))
		case id != n.cfg.NodeID:
			return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes broker %d, but no such broker is registered.", id))
		}
	}
	return nil
}
