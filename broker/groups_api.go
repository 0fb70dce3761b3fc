package broker

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// This file is the seam between the node and the group coordinator: the node
// gives it the partitions of __consumer_offsets and the requests of its APIs.

// groupAPIs are the APIs that the coordinator answers.
func (n *Node) groupAPIs() []wire.API {
	return []wire.API{
		{Key: int16(kmsg.OffsetCommit), Min: 1, Max: 9, Serve: n.serveGroup},
		{Key: int16(kmsg.OffsetFetch), Min: 1, Max: 9, Serve: n.serveGroup},
		{Key: int16(kmsg.JoinGroup), Min: 0, Max: 9, Serve: n.serveGroup},
		{Key: int16(kmsg.Heartbeat), Min: 0, Max: 4, Serve: n.serveGroup},
		{Key: int16(kmsg.LeaveGroup), Min: 0, Max: 5, Serve: n.serveGroup},
		{Key: int16(kmsg.SyncGroup), Min: 0, Max: 5, Serve: n.serveGroup},
		{Key: int16(kmsg.DescribeGroups), Min: 0, Max: 6, Serve: n.serveGroup},
		{Key: int16(kmsg.ListGroups), Min: 0, Max: 5, Serve: n.serveGroup},
		{Key: int16(kmsg.DeleteGroups), Min: 0, Max: 2, Serve: n.serveGroup},
		{Key: int16(kmsg.OffsetDelete), Min: 0, Max: 0, Serve: n.serveGroup},
	}
}

// serveGroup hands a request to the coordinator, which keeps parts of it.
func (n *Node) serveGroup(r *wire.Request) {
	r.DetachBody()
	req, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	client := groups.ClientInfo{ID: r.ClientID, Host: "/" + r.Conn.RemoteHost()}
	reply := r.Reply
	if n.authorizer != nil {
		allowed, finish := n.authorizeGroups(r, req)
		if allowed == nil {
			r.Reply(finish(nil))
			return
		}
		req, reply = allowed, func(resp kmsg.Response) { r.Reply(finish(resp)) }
	}
	if beat, ok := req.(*kmsg.ConsumerGroupHeartbeatRequest); ok && n.authorizer != nil {
		n.groups.HandleHeartbeat(client, beat, n.describable(r), reply)
		return
	}
	if !n.groups.Handle(client, req, reply) {
		panic("broker: an API of groups that the coordinator does not know")
	}
}

// openGroups makes the coordinator and lets it load the groups that there are.
func (n *Node) openGroups(reg prometheus.Registerer) error {
	n.groups = groups.New(groups.ConfigOf(n.cfg), groups.Options{Logger: n.log, Registerer: reg, Topics: n.groupTopic, Image: groupImage{n}})
	n.loadGroups()
	return n.registerGroupLag(reg)
}

// groupTopic is what the coordinator may know of a topic.
func (n *Node) groupTopic(name string) (core.Topic, bool) {
	t := n.meta.Image().Topic(name)
	if t == nil {
		return core.Topic{}, false
	}
	return core.Topic{ID: t.ID, Partitions: int32(len(t.Partitions)), Racks: n.topicRacks(t)}, true
}

// topicRacks returns the racks of each partition's replicas; nil while no broker has one.
func (n *Node) topicRacks(t *metadata.Topic) [][]string {
	racks := map[int32]string{}
	for _, b := range n.meta.Image().Brokers() {
		if b.Rack != "" {
			racks[b.NodeID] = b.Rack
		}
	}
	if len(racks) == 0 {
		return nil
	}
	out := make([][]string, len(t.Partitions))
	for i, p := range t.Partitions {
		for _, replica := range p.Replicas {
			if rack, ok := racks[replica]; ok {
				out[i] = append(out[i], rack)
			}
		}
		slices.Sort(out[i])
	}
	return out
}

// loadGroups gives the coordinator the logs of __consumer_offsets, if it exists.
func (n *Node) loadGroups() {
	s := n.topics.byName(offsetsTopic)
	if s == nil {
		return
	}
	n.groups.SetPartitions(int32(len(s.logs)))
	for p, l := range s.logs {
		if l != nil {
			n.groups.Load(int32(p), l)
		}
	}
}

// ensureOffsetsTopic makes __consumer_offsets if it does not exist.
func (n *Node) ensureOffsetsTopic() error {
	if n.topics.byName(offsetsTopic) != nil {
		return nil
	}
	_, err := n.createTopic(topicSpec{
		name: offsetsTopic, partitions: n.cfg.OffsetsPartitions, internal: true,
		configs: map[string]string{"cleanup.policy": "compact", "segment.bytes": "104857600"},
	})
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	n.loadGroups()
	return nil
}

// groupsTopicDeleted lets the coordinator forget the offsets of a topic.
func (n *Node) groupsTopicDeleted(s *topicState) {
	n.groups.DeleteTopics(func(name string, id [16]byte) bool {
		return name == s.name && (id == [16]byte{} || metadata.TopicID(id) == s.id)
	})
}

// runGroups serves until ctx ends. The coordinators end first, so that members
// that wait for a rebalance, and producers that wait for a transaction, are
// answered and do not hold up the stop.
func (n *Node) runGroups(ctx context.Context) error {
	ended := make(chan struct{})
	closeAll := func() {
		n.transactions.Close()
		n.groups.Close()
		close(ended)
	}
	stop := context.AfterFunc(ctx, closeAll)
	err := n.server.Run(ctx)
	if stop() {
		closeAll()
	}
	<-ended
	return err
}
