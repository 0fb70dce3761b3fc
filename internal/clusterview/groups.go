package clusterview

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// Group is one consumer group.
type Group struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Type is classic, or consumer for the new protocol (KIP-848); empty when
	// the broker is older than that.
	Type string `json:"type,omitempty"`
	// Epoch, TargetEpoch (the epoch of the assignment) and Assignor are of the
	// new protocol.
	Epoch        int32         `json:"epoch,omitempty"`
	TargetEpoch  int32         `json:"target_epoch,omitempty"`
	Assignor     string        `json:"assignor,omitempty"`
	ProtocolType string        `json:"protocol_type"`
	Members      []Member      `json:"members"`
	Offsets      []GroupOffset `json:"offsets"`
}

// Member is one member of a group.
type Member struct {
	ID         string             `json:"id"`
	ClientID   string             `json:"client_id"`
	Host       string             `json:"host"`
	Assignment map[string][]int32 `json:"assignment"`
	InstanceID string             `json:"instance_id,omitempty"`
	// Protocol, Epoch and Target (what the member is to have) are of the new protocol.
	Protocol string             `json:"protocol,omitempty"`
	Epoch    int32              `json:"epoch,omitempty"`
	Target   map[string][]int32 `json:"target,omitempty"`
}

// GroupOffset is what a group has committed for a partition. End is the
// partition's end, -1 when the topic is gone or has no leader; Lag is then -1 too.
type GroupOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Metadata  string `json:"metadata,omitempty"`
	// Member is the id of the member that the partition is assigned to; empty for none.
	Member string `json:"member,omitempty"`
}

// Lag is the sum over all partitions whose lag is known.
func (g Group) Lag() int64 {
	var n int64
	for _, o := range g.Offsets {
		n += max(o.Lag, 0)
	}
	return n
}

// GroupNames returns the names of all groups with their states, as the brokers list them.
func (v *View) GroupNames() (map[string]string, error) {
	listed, err := v.listGroups()
	states := make(map[string]string, len(listed))
	for name, g := range listed {
		states[name] = g.GroupState
	}
	return states, err
}

// listGroups asks all brokers for their groups.
func (v *View) listGroups() (map[string]sarama.GroupData, error) {
	conf := *v.client.Config()
	conf.Version = sarama.V4_0_0_0 // older brokers get the version that they know, without types
	listed := map[string]sarama.GroupData{}
	for _, b := range v.client.Brokers() {
		if err := listGroupsOf(b.Addr(), &conf, listed); err != nil {
			return nil, err
		}
	}
	return listed, nil
}

func listGroupsOf(addr string, conf *sarama.Config, listed map[string]sarama.GroupData) (err error) {
	b := sarama.NewBroker(addr)
	if err := b.Open(conf); err != nil {
		return Explain(err, []string{addr})
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	resp, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 5})
	if err != nil {
		return Explain(err, []string{addr})
	}
	if !errors.Is(resp.Err, sarama.ErrNoError) {
		return fmt.Errorf("list groups of broker %s: %w", addr, resp.Err)
	}
	for name := range resp.Groups {
		listed[name] = resp.GroupsData[name]
	}
	return nil
}

// Groups returns the named groups, or all without a name, sorted by name, with
// members, committed offsets and lag. A name that neither has members nor
// offsets is an error that wraps [ErrNoGroup], one that we may not describe
// sarama.ErrGroupAuthorizationFailed.
func (v *View) Groups(names ...string) ([]Group, error) {
	listed, err := v.listGroups()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := listed[name]; !ok {
			return nil, v.unlisted(name)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(listed))
	}
	if len(names) == 0 {
		return nil, nil
	}
	var classic, modern []string
	for _, name := range names {
		if listed[name].GroupType == consumerType {
			modern = append(modern, name)
		} else {
			classic = append(classic, name)
		}
	}
	groups, err := v.consumerGroups(modern)
	if err != nil {
		return nil, err
	}
	if len(classic) > 0 {
		described, err := v.admin.DescribeConsumerGroups(classic)
		if err != nil {
			return nil, Explain(err, v.brokers)
		}
		for _, d := range described {
			groups = append(groups, classicGroup(d, listed[d.GroupId]))
		}
	}
	for i := range groups {
		if err := v.addCommitted(&groups[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return groups, v.addLag(groups)
}

// unlisted is why brokers do not list a group: they have none, or we may not describe it.
func (v *View) unlisted(name string) error {
	if _, err := v.client.Coordinator(name); errors.Is(err, sarama.ErrGroupAuthorizationFailed) {
		return fmt.Errorf("consumer group %q: %w", name, err)
	}
	return fmt.Errorf("consumer group %q %w", name, ErrNoGroup)
}

func classicGroup(d *sarama.GroupDescription, listed sarama.GroupData) Group {
	g := Group{Name: d.GroupId, State: d.State, Type: listed.GroupType, ProtocolType: d.ProtocolType, Members: []Member{}, Offsets: []GroupOffset{}}
	// Apache Kafka answers "Dead" for groups of its newer protocol.
	if listed.GroupState != "" && (g.State == "" || g.State == "Dead") {
		g.State = listed.GroupState
	}
	for id, m := range d.Members {
		member := Member{ID: id, ClientID: m.ClientId, Host: m.ClientHost, Assignment: map[string][]int32{}}
		if a, err := m.GetMemberAssignment(); err == nil && a != nil {
			member.Assignment = a.Topics
		}
		g.Members = append(g.Members, member)
	}
	slices.SortFunc(g.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return g
}

// addCommitted fills in what the group has committed, and who has the partition.
func (v *View) addCommitted(g *Group) error {
	owners := map[partitionKey]string{}
	for _, m := range g.Members {
		for topic, partitions := range m.Assignment {
			for _, p := range partitions {
				owners[partitionKey{topic, p}] = m.ID
			}
		}
	}
	resp, err := v.admin.ListConsumerGroupOffsets(g.Name, nil)
	if err != nil {
		return fmt.Errorf("offsets of group %q: %w", g.Name, Explain(err, v.brokers))
	}
	if !errors.Is(resp.Err, sarama.ErrNoError) {
		return fmt.Errorf("offsets of group %q: %w", g.Name, resp.Err)
	}
	for topic, blocks := range resp.Blocks {
		for partition, b := range blocks {
			if b.Offset >= 0 {
				g.Offsets = append(g.Offsets, GroupOffset{
					Topic: topic, Partition: partition, Committed: b.Offset, End: -1, Lag: -1,
					Metadata: b.Metadata, Member: owners[partitionKey{topic, partition}],
				})
			}
		}
	}
	slices.SortFunc(g.Offsets, func(a, b GroupOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

type partitionKey struct {
	topic     string
	partition int32
}

// addLag fills End and Lag. The committed offsets were read before, so a lag
// is not below what it was then.
func (v *View) addLag(groups []Group) error {
	wanted := map[string]bool{}
	for _, g := range groups {
		for _, o := range g.Offsets {
			wanted[o.Topic] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	all, err := v.layout(nil)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t Topic) bool { return !wanted[t.Name] })
	ends, err := v.offsets(all, sarama.OffsetNewest, sarama.ReadUncommitted)
	if err != nil {
		return err
	}
	for i := range groups {
		for j := range groups[i].Offsets {
			o := &groups[i].Offsets[j]
			if o.End = offsetOf(ends, o.Topic, o.Partition); o.End >= 0 {
				o.Lag = max(o.End-o.Committed, 0)
			}
		}
	}
	return nil
}
