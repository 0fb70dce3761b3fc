package broker

import (
	"errors"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// Metadata: v0-13
//
// Behaviour:
// * Brokers are answered with what they advertise under the listener that the
//   client came by; those without such a listener are left out.
// * Null topics (in version 0 an empty list) are all topics; from version 1 an
//   empty list is none.
// * A topic that is asked for by name and does not exist is made if
//   auto_create_topics and the request (v4) allow it, and is answered at once.
// * A topic that is asked for by an id that does not exist is
//   UNKNOWN_TOPIC_ID with a null name.
// * The response is built when it is written, because it may be large.
// * Topics that the client may not describe are left out of all topics, and are
//   TOPIC_AUTHORIZATION_FAILED, whether they exist or not, when they are asked
//   for. A topic is made for who may create it, or any topic.
//
// KIPs:
// * KIP-4: controller, rack, internal topics (v1), cluster id (v2)
// * KIP-204: whether to create topics (v4)
// * KIP-112: offline replicas (v5), KIP-320: leader epochs (v7)
// * KIP-430: authorized operations (v8; of the cluster v8-10)
// * KIP-516: topic ids (v10, asked for by id v12)
// * KIP-1102: rebootstrap error (v13), never returned

func (n *Node) serveMetadata(r *wire.Request) {
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.MetadataRequest)
	failed := n.autoCreate(r, req)
	r.ReplyFunc(func() kmsg.Response { return n.metadata(r, req, failed) })
}

// autoCreate makes the topics that are missing and returns why some were not made.
func (n *Node) autoCreate(r *wire.Request, req *kmsg.MetadataRequest) map[string]error {
	if !n.cfg.AutoCreateTopics || req.Version >= 4 && !req.AllowAutoTopicCreation {
		return nil
	}
	var failed map[string]error
	for _, t := range req.Topics {
		if t.Topic == nil || t.TopicID != [16]byte{} || n.topics.byName(*t.Topic) != nil {
			continue
		}
		if !n.authorize(r, acl.Describe, acl.Topic(*t.Topic)) {
			continue // that it does not exist is not for this client to know
		}
		if err := n.autoCreateFor(r, *t.Topic); err != nil && codeOf(err) != kerr.TopicAlreadyExists.Code {
			if failed == nil {
				failed = make(map[string]error)
			}
			failed[*t.Topic] = err
		}
	}
	return failed
}

// autoCreateFor makes a topic if the client may.
func (n *Node) autoCreateFor(r *wire.Request, name string) error {
	if !n.mayDo(r, acl.Create, acl.Cluster()) && !n.authorize(r, acl.Create, acl.Topic(name)) {
		return kerr.TopicAuthorizationFailed
	}
	if err := n.quotas.mutate(r, int(n.cfg.DefaultPartitions), neverStrict); err != nil {
		return err
	}
	return n.autoCreateTopic(name)
}

// neverStrict is a version that no request has: topics that are made on demand are
// throttled, not refused (KIP-599).
const neverStrict = math.MaxInt16

func (n *Node) autoCreateTopic(name string) error {
	switch name {
	case offsetsTopic:
		return n.ensureOffsetsTopic()
	case transactionTopic, metadataTopic:
		return kerr.UnknownTopicOrPartition
	}
	_, err := n.createTopic(topicSpec{name: name, partitions: n.cfg.DefaultPartitions})
	return err
}

func (n *Node) metadata(r *wire.Request, req *kmsg.MetadataRequest, failed map[string]error) *kmsg.MetadataResponse {
	resp := newResponse[*kmsg.MetadataResponse](req)
	if asksByID(req) {
		return refusedMetadata(resp, req, kerr.InvalidRequest)
	}
	image := n.meta.Image()
	for _, b := range image.Brokers() {
		broker := kmsg.NewMetadataResponseBroker()
		at, ok := endpointFor(b, r.Conn)
		if !ok {
			continue
		}
		broker.NodeID, broker.Host, broker.Port, broker.Rack = b.NodeID, at.Host, at.Port, rackOf(b)
		resp.Brokers = append(resp.Brokers, broker)
	}
	resp.ClusterID, resp.ControllerID = &image.ClusterID, n.cfg.NodeID
	resp.AuthorizedOperations = n.clusterOperationsIf(req.IncludeClusterAuthorizedOperations, r)
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(image.TopicNames()))
		for _, name := range image.TopicNames() {
			if n.mayDo(r, acl.Describe, acl.Topic(name)) {
				resp.Topics = append(resp.Topics, n.metadataTopic(r, req, image.Topic(name)))
			}
		}
		return resp
	}
	resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	for _, rt := range eachTopicNamedOnce(req.Topics) {
		resp.Topics = append(resp.Topics, n.metadataOf(r, req, image, rt, failed))
	}
	return resp
}

// metadataByIDVersion is the first version in which topics are asked for by their ids.
const metadataByIDVersion = 12

// asksByID says that a request has topics without names, or with ids, before that may be.
func asksByID(req *kmsg.MetadataRequest) bool {
	return req.Version < metadataByIDVersion && slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
		return t.Topic == nil || t.TopicID != [16]byte{}
	})
}

// refusedMetadata answers all topics with an error, and nothing else.
func refusedMetadata(resp *kmsg.MetadataResponse, req *kmsg.MetadataRequest, code *kerr.Error) *kmsg.MetadataResponse {
	resp.ControllerID, resp.Brokers = -1, []kmsg.MetadataResponseBroker{}
	resp.AuthorizedOperations = operationsNotAsked
	for _, rt := range req.Topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.TopicID, topic.ErrorCode, topic.AuthorizedOperations = rt.Topic, rt.TopicID, code.Code, operationsNotAsked
		topic.Partitions = []kmsg.MetadataResponseTopicPartition{}
		if topic.Topic == nil {
			topic.Topic = new("")
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// eachTopicNamedOnce leaves out repetitions.
func eachTopicNamedOnce(topics []kmsg.MetadataRequestTopic) []kmsg.MetadataRequestTopic {
	type identity struct {
		id    [16]byte
		name  string
		named bool
	}
	seen := make(map[identity]bool, len(topics))
	once := make([]kmsg.MetadataRequestTopic, 0, len(topics))
	for _, t := range topics {
		i := identity{id: t.TopicID, named: t.Topic != nil}
		if i.named {
			i.name = *t.Topic
		}
		if !seen[i] {
			seen[i], once = true, append(once, t)
		}
	}
	return once
}

func rackOf(b *metadata.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}

// metadataOf describes a topic that was asked for.
func (n *Node) metadataOf(r *wire.Request, req *kmsg.MetadataRequest, image *metadata.Image, rt kmsg.MetadataRequestTopic, failed map[string]error) kmsg.MetadataResponseTopic {
	missing := kmsg.NewMetadataResponseTopic()
	missing.AuthorizedOperations = operationsNotAsked
	missing.Partitions = []kmsg.MetadataResponseTopicPartition{}
	missing.Topic, missing.TopicID = rt.Topic, rt.TopicID
	switch {
	case rt.TopicID != [16]byte{}:
		t := image.TopicByID(rt.TopicID)
		if t != nil && n.authorize(r, acl.Describe, acl.Topic(t.Name)) {
			return n.metadataTopic(r, req, t)
		}
		missing.Topic, missing.ErrorCode = nil, kerr.UnknownTopicID.Code
		if t != nil {
			missing.ErrorCode = kerr.TopicAuthorizationFailed.Code
		}
		if req.Version < 12 {
			empty := ""
			missing.Topic = &empty
		}
	case rt.Topic == nil:
		missing.ErrorCode = kerr.UnknownTopicOrPartition.Code
	case !n.authorize(r, acl.Describe, acl.Topic(*rt.Topic)):
		missing.ErrorCode = kerr.TopicAuthorizationFailed.Code
	default:
		if t := image.Topic(*rt.Topic); t != nil {
			return n.metadataTopic(r, req, t)
		}
		err := failed[*rt.Topic]
		if err == nil {
			err = checkTopicName(*rt.Topic)
		}
		if err == nil {
			err = kerr.UnknownTopicOrPartition
		}
		missing.ErrorCode = codeOf(err)
		missing.IsInternal = isInternalName(*rt.Topic)
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			missing.AuthorizedOperations = n.operationsIf(req.IncludeTopicAuthorizedOperations, r, acl.Topic(*rt.Topic))
		}
	}
	return missing
}

func isInternalName(name string) bool { return name == offsetsTopic || name == transactionTopic }

func (n *Node) metadataTopic(r *wire.Request, req *kmsg.MetadataRequest, t *metadata.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.IsInternal = &t.Name, t.ID, t.Internal
	out.AuthorizedOperations = n.operationsIf(req.IncludeTopicAuthorizedOperations, r, acl.Topic(t.Name))
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		q := kmsg.NewMetadataResponseTopicPartition()
		q.Partition, q.Leader, q.LeaderEpoch = int32(i), p.Leader, p.LeaderEpoch
		q.Replicas, q.ISR, q.OfflineReplicas = slices.Clone(p.Replicas), slices.Clone(p.ISR), []int32{}
		out.Partitions[i] = q
	}
	return out
}
