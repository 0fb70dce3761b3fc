package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// ConsumerGroupHeartbeat: v0-1
//
// Behaviour:
// * A member joins with epoch 0, goes with -1, and a static one goes for a
//   while with -2. Version 1 members make their ids themselves.
// * The broker assigns (uniform, range) and moves each member towards the
//   target; a partition is given out only when its last owner has said that it gave it up.
// * Regular expressions are RE2's and resolved at once.
// * A classic group with members becomes a consumer group when a member of
//   this protocol joins, and goes back when the last of them leaves.
// * The errors of a group are broker/groups/core's.
//
// KIPs:
// * KIP-848: the protocol
// * KIP-1082: member ids made by clients (v1)
// * KIP-1101: the hash of topic metadata

func (n *Node) serveConsumerGroup(r *wire.Request) {
	if level, ok := n.meta.Image().FeatureLevel(featureGroup); ok && level > 0 {
		n.serveGroup(r)
		return
	}
	req, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	r.Reply(core.ErrorResponse(req, kerr.UnsupportedVersion.Code))
}

// groupImage is the metadata as the groups see it.
type groupImage struct{ node *Node }

func (i groupImage) image() *metadata.Image { return i.node.meta.Image() }

// Version implements [core.Image].
func (i groupImage) Version() int64 { return i.image().Index }

// Topic implements [core.Image].
func (i groupImage) Topic(name string) (core.Topic, bool) { return i.node.groupTopic(name) }

// TopicName implements [core.Image].
func (i groupImage) TopicName(id [16]byte) (string, bool) {
	t := i.image().TopicByID(id)
	if t == nil {
		return "", false
	}
	return t.Name, true
}

// TopicNames implements [core.Image].
func (i groupImage) TopicNames() []string { return i.image().TopicNames() }

// GroupConfigs implements [core.Image].
func (i groupImage) GroupConfigs(group string) map[string]string {
	return i.image().Configs(metadata.ResourceGroup, group)
}

// consumerGroupAPIs are the APIs of the new group protocol.
func (n *Node) consumerGroupAPIs() []wire.API {
	return []wire.API{
		{Key: int16(kmsg.ConsumerGroupHeartbeat), Min: 0, Max: 1, Serve: n.serveConsumerGroup},
		{Key: int16(kmsg.ConsumerGroupDescribe), Min: 0, Max: 1, Serve: n.serveConsumerGroup},
	}
}
