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
	Name         string        `json:"name"`
	State        string        `json:"state"`
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
	states := map[string]string{}
	for _, b := range v.client.Brokers() {
		if err := b.Open(v.client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
			return nil, Explain(err, []string{b.Addr()})
		}
		resp, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 4})
		if err != nil {
			return nil, Explain(err, []string{b.Addr()})
		}
		if !errors.Is(resp.Err, sarama.ErrNoError) {
			return nil, fmt.Errorf("list groups of broker %d: %w", b.ID(), resp.Err)
		}
		for name := range resp.Groups {
			states[name] = resp.GroupsData[name].GroupState
		}
	}
	return states, nil
}

// Groups returns the named groups, or all without a name, sorted by name, with
// members, committed offsets and lag. A name that neither has members nor
// offsets is an error that wraps [ErrNoGroup].
func (v *View) Groups(names ...string) ([]Group, error) {
	states, err := v.GroupNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := states[name]; !ok {
			return nil, fmt.Errorf("consumer group %q %w", name, ErrNoGroup)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(states))
	}
	if len(names) == 0 {
		return nil, nil
	}
	described, err := v.admin.DescribeConsumerGroups(names)
	if err != nil {
		return nil, Explain(err, v.brokers)
	}
	groups := make([]Group, 0, len(described))
	for _, d := range described {
		g, err := v.group(d, states[d.GroupId])
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return groups, v.addLag(groups)
}

func (v *View) group(d *sarama.GroupDescription, listed string) (Group, error) {
	g := Group{Name: d.GroupId, State: d.State, ProtocolType: d.ProtocolType, Members: []Member{}, Offsets: []GroupOffset{}}
	// Apache Kafka answers "Dead" for groups of its newer protocol.
	if listed != "" && (g.State == "" || g.State == "Dead") {
		g.State = listed
	}
	owners := map[partitionKey]string{}
	for id, m := range d.Members {
		member := Member{ID: id, ClientID: m.ClientId, Host: m.ClientHost, Assignment: map[string][]int32{}}
		if a, err := m.GetMemberAssignment(); err == nil && a != nil {
			member.Assignment = a.Topics
			for topic, partitions := range a.Topics {
				for _, p := range partitions {
					owners[partitionKey{topic, p}] = id
				}
			}
		}
		g.Members = append(g.Members, member)
	}
	slices.SortFunc(g.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	resp, err := v.admin.ListConsumerGroupOffsets(d.GroupId, nil)
	if err != nil {
		return g, fmt.Errorf("offsets of group %q: %w", d.GroupId, Explain(err, v.brokers))
	}
	if !errors.Is(resp.Err, sarama.ErrNoError) {
		return g, fmt.Errorf("offsets of group %q: %w", d.GroupId, resp.Err)
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
	return g, nil
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
