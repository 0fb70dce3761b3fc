package core

import (
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// build makes the request of a command, filled in with what the actor knows.
// All take v=VERSION, group=NAME (default g), id=, gen= and instance=.
func (s *script) build(kind string, a *actor, args map[string]string) kmsg.Request {
	get := func(key, otherwise string) string {
		if v, ok := args[key]; ok {
			return v
		}
		return otherwise
	}
	group := get("group", "g")
	if v, ok := args["id"]; ok {
		a = &actor{name: a.name, id: s.idOf(v), generation: a.generation}
	}
	generation := a.generation
	if v, ok := args["gen"]; ok {
		generation = int32(number(v))
	}
	var instance *string
	if v, ok := args["instance"]; ok {
		instance = &v
	}
	version := func(newest string) int16 { return int16(number(get("v", newest))) }
	switch kind {
	case "beat":
		return s.buildBeat(args, a, group, instance, version("1"))
	case "consumer-describe":
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Version, r.Groups = version("1"), strings.Split(group, ",")
		return r
	case "join":
		return buildJoin(get, a, group, instance, version("9"))
	case "sync":
		return s.buildSync(args, a, group, generation, instance, version("5"))
	case "heartbeat":
		r := kmsg.NewPtrHeartbeatRequest()
		r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = version("4"), group, a.id, generation, instance
		return r
	case "leave":
		return s.buildLeave(args, a, group, instance, version("5"))
	case "commit":
		return buildCommit(args, a, group, generation, instance, version("9"), get("meta", ""))
	case "fetch":
		return buildFetch(args, group, version("9"))
	case "delete-offsets":
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = group
		for topic, p := range partitions(args) {
			r.Topics = append(r.Topics, kmsg.OffsetDeleteRequestTopic{
				Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: p}},
			})
		}
		return r
	case "delete":
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = version("2"), strings.Split(group, ",")
		return r
	case "describe":
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Version, r.Groups, r.IncludeAuthorizedOperations = version("6"), strings.Split(group, ","), get("operations", "") != ""
		return r
	case "list":
		r := kmsg.NewPtrListGroupsRequest()
		r.Version = version("5")
		if v, ok := args["states"]; ok {
			r.StatesFilter = strings.Split(v, ",")
		}
		if v, ok := args["types"]; ok {
			r.TypesFilter = strings.Split(v, ",")
		}
		return r
	}
	panic("unknown command " + kind)
}

// idOf turns a name that was printed back into the member id.
func (s *script) idOf(name string) string {
	for id, n := range s.names {
		if n == name {
			return id
		}
	}
	return name
}

func buildJoin(get func(k, otherwise string) string, a *actor, group string, instance *string, version int16) kmsg.Request {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version, r.Group, r.MemberID, r.InstanceID = version, group, a.id, instance
	r.SessionTimeoutMillis = int32(number(get("session", "10000")))
	r.RebalanceTimeoutMillis = int32(number(get("rebalance", "60000")))
	r.ProtocolType = get("type", "consumer")
	for p := range strings.SplitSeq(get("protocols", "range"), ",") {
		if p == "" {
			continue
		}
		name, meta, _ := strings.Cut(p, ":")
		data := []byte(meta)
		if topic, ok := strings.CutPrefix(meta, "topic-"); ok {
			m := kmsg.NewConsumerMemberMetadata()
			m.Topics = []string{topic}
			if owned := get("owned", ""); owned != "" {
				m.Version = 1
				for one := range strings.SplitSeq(owned, ",") {
					name, p, _ := strings.Cut(one, "/")
					m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: name, Partitions: []int32{int32(number(p))}})
				}
			}
			data = m.AppendTo(nil)
		}
		r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: data})
	}
	return r
}

func (s *script) buildSync(args map[string]string, a *actor, group string, generation int32, instance *string, version int16) kmsg.Request {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = version, group, a.id, generation, instance
	if v, ok := args["protocol"]; ok {
		r.Protocol = &v
	}
	if v, ok := args["type"]; ok {
		r.ProtocolType = &v
	}
	for part := range strings.SplitSeq(args["assign"], ",") {
		if name, what, ok := strings.Cut(part, ":"); ok {
			what = encodedAssignment(what)
			r.GroupAssignment = append(r.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: s.actors[name].id, MemberAssignment: []byte(what),
			})
		}
	}
	return r
}

func (s *script) buildLeave(args map[string]string, a *actor, group string, instance *string, version int16) kmsg.Request {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Version, r.Group, r.MemberID = version, group, a.id
	r.Members = []kmsg.LeaveGroupRequestMember{{MemberID: a.id, InstanceID: instance}}
	if v, ok := args["members"]; ok {
		r.Members = nil
		for name := range strings.SplitSeq(v, ",") {
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: s.actors[name].id})
		}
	}
	return r
}

func buildCommit(args map[string]string, a *actor, group string, generation int32, instance *string, version int16, meta string) kmsg.Request {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = version, group, a.id, generation, instance
	r.RetentionTimeMillis = -1
	if v, ok := args["retention"]; ok {
		r.RetentionTimeMillis = number(v)
	}
	for topic, p := range partitions(args) {
		o := number(args[topic+"/"+string('0'+rune(p))])
		r.Topics = append(r.Topics, kmsg.OffsetCommitRequestTopic{
			Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: p, Offset: o, LeaderEpoch: 5, Metadata: &meta}},
		})
	}
	return r
}

func buildFetch(args map[string]string, group string, version int16) kmsg.Request {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Version, r.Group = version, group
	if version < multiGroupFetchVersion {
		for topic, p := range partitions(args) {
			r.Topics = append(r.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: []int32{p}})
		}
		return r
	}
	for one := range strings.SplitSeq(group, ",") {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = one
		for topic, p := range partitions(args) {
			g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: []int32{p}})
		}
		r.Groups = append(r.Groups, g)
	}
	return r
}

// partitions yields the arguments of the form topic/partition, in order.
func partitions(args map[string]string) func(yield func(string, int32) bool) {
	return func(yield func(string, int32) bool) {
		for _, k := range slices.Sorted(maps.Keys(args)) {
			topic, p, ok := strings.Cut(k, "/")
			if ok && !yield(topic, int32(number(p))) {
				return
			}
		}
	}
}
