package broker

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinators are steps about FindCoordinator and lists with filters.
func (l *neighbours) coordinators() {
	l.each("find good and bad coordinators", 4, 6, always(func() *kmsg.FindCoordinatorRequest {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKeys = []string{"g", "", "g", strings.Repeat("x", 250)}
		return req
	}))
	for _, kind := range []int8{3, 7, -1} {
		l.each(fmt.Sprintf("find a coordinator of type %d", kind), 1, 6, always(func() *kmsg.FindCoordinatorRequest {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, "g", []string{"g"}
			return req
		}))
	}
	l.each("list transactions by a broken pattern", 2, 2, always(func() *kmsg.ListTransactionsRequest {
		req := kmsg.NewPtrListTransactionsRequest()
		req.TransactionalIDPattern = new("(")
		return req
	}))
}

// offsets are steps about offsets of groups that have no members.
func (l *neighbours) offsets() {
	part := func(partition int32, offset int64, metadata string) kmsg.OffsetCommitRequestTopicPartition {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = partition, offset, &metadata
		return p
	}
	commit := func(group, member string, generation int32) *kmsg.OffsetCommitRequest {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = group, member, generation
		req.Topics = []kmsg.OffsetCommitRequestTopic{
			{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{
				part(0, 5, ""), part(99, 5, ""), part(-1, 5, ""), part(1, -9, strings.Repeat("m", 4097)),
			}},
			{Topic: "no-such", Partitions: []kmsg.OffsetCommitRequestTopicPartition{part(0, 5, "")}},
			{Topic: "", Partitions: []kmsg.OffsetCommitRequestTopicPartition{part(0, 5, "")}},
			{Topic: "small"},
		}
		return req
	}
	for name, build := range inOrder(map[string]func() *kmsg.OffsetCommitRequest{
		"of nobody":             func() *kmsg.OffsetCommitRequest { return commit("no-such", "", -1) },
		"of a generation":       func() *kmsg.OffsetCommitRequest { return commit("other", "", 3) },
		"of an unknown member":  func() *kmsg.OffsetCommitRequest { return commit("other", "nobody", 3) },
		"of a negative one":     func() *kmsg.OffsetCommitRequest { return commit("other", "nobody", -5) },
		"of a group with no id": func() *kmsg.OffsetCommitRequest { return commit("", "", -1) },
		"of a static stranger":  func() *kmsg.OffsetCommitRequest { r := commit("other", "nobody", 3); r.InstanceID = new("i"); return r },
		"below zero, negatively": func() *kmsg.OffsetCommitRequest {
			r := commit("no-such", "", -1)
			r.Topics[0].Partitions = r.Topics[0].Partitions[3:]
			r.Topics[0].Partitions[0].Metadata = nil
			return r
		},
	}) {
		oldest := int16(2)
		if strings.Contains(name, "static") {
			oldest = 7
		}
		l.each("commit offsets "+name, oldest, 9, always(build))
	}
	l.each("fetch offsets, good and bad", 1, 7, always(func() *kmsg.OffsetFetchRequest {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group = "no-such"
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 1, 99, -1}}, {Topic: "gone", Partitions: []int32{0}}, {Topic: "", Partitions: []int32{0}}}
		return req
	}))
	l.each("fetch offsets of groups", 8, 9, always(func() *kmsg.OffsetFetchRequest {
		req := kmsg.NewPtrOffsetFetchRequest()
		for _, group := range []string{"no-such", "nobody's", "", "no-such"} {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = group, []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0, 1, 99, -1}}, {Topic: "gone", Partitions: []int32{0}}}
			req.Groups = append(req.Groups, g)
		}
		return req
	}))
	l.each("fetch all offsets of groups", 8, 9, always(func() *kmsg.OffsetFetchRequest {
		req := kmsg.NewPtrOffsetFetchRequest()
		for _, group := range []string{"no-such", "nobody's", ""} {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = group
			req.Groups = append(req.Groups, g)
		}
		return req
	}))
	l.one("fetch offsets as a member that is none", 9, &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{
		{Group: "no-such", MemberID: new("nobody"), MemberEpoch: 3, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}},
	}})
	l.one("delete offsets, good and bad", 0, &kmsg.OffsetDeleteRequest{Group: "no-such", Topics: []kmsg.OffsetDeleteRequestTopic{
		{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}, {Partition: 99}, {Partition: -1}}},
		{Topic: "gone", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}},
	}})
}

// sessionMs is a session that lasts for all steps.
const sessionMs = 600_000

// classicGroup are steps with a group that has a member, and its end.
func (l *neighbours) classicGroup() {
	join := func(member string, change func(*kmsg.JoinGroupRequest)) *kmsg.JoinGroupRequest {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "no-such", member, "consumer", sessionMs, 10_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0}}}
		if change != nil {
			change(req)
		}
		return req
	}
	l.each("join for an id", 9, 9, func(*given, int16) kmsg.Request { return join("", nil) })
	l.each("join with the id", 9, 9, func(seen *given, _ int16) kmsg.Request { return join(seen.member, nil) })
	l.each("sync", 5, 5, func(seen *given, _ int16) kmsg.Request {
		return &kmsg.SyncGroupRequest{
			Group: "no-such", Generation: 1, MemberID: seen.member, ProtocolType: new("consumer"), Protocol: new("range"),
			GroupAssignment: []kmsg.SyncGroupRequestGroupAssignment{{MemberID: seen.member, MemberAssignment: []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}}},
		}
	})
	l.each("describe the group", 0, 6, always(func() *kmsg.DescribeGroupsRequest {
		return &kmsg.DescribeGroupsRequest{Groups: []string{"no-such", "nobody's", "", "no-such"}, IncludeAuthorizedOperations: true}
	}), "ClientHost")
	for name, at := range inOrder(map[string]struct {
		member     func(*given) string
		generation int32
		instance   *string
	}{
		"of a stranger":         {func(*given) string { return "nobody" }, 1, nil},
		"of nobody":             {func(*given) string { return "" }, 1, nil},
		"of another generation": {func(seen *given) string { return seen.member }, 7, nil},
		"of no generation":      {func(seen *given) string { return seen.member }, -1, nil},
		"of a static stranger":  {func(seen *given) string { return seen.member }, 1, new("i")},
	}) {
		oldest := func(plain, static int16) int16 {
			if at.instance != nil {
				return static
			}
			return plain
		}
		l.each("heartbeat "+name, oldest(0, 3), 4, func(seen *given, _ int16) kmsg.Request {
			return &kmsg.HeartbeatRequest{Group: "no-such", MemberID: at.member(seen), Generation: at.generation, InstanceID: at.instance}
		})
		l.each("sync "+name, oldest(0, 3), 5, func(seen *given, _ int16) kmsg.Request {
			return &kmsg.SyncGroupRequest{Group: "no-such", MemberID: at.member(seen), Generation: at.generation, InstanceID: at.instance, ProtocolType: new("consumer"), Protocol: new("range")}
		})
		l.each("commit "+name, oldest(2, 7), 9, func(seen *given, _ int16) kmsg.Request {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Offset = 1
			return &kmsg.OffsetCommitRequest{
				Group: "no-such", MemberID: at.member(seen), Generation: at.generation, InstanceID: at.instance, RetentionTimeMillis: -1,
				Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}},
			}
		})
	}
	l.each("sync by another protocol", 5, 5, func(seen *given, _ int16) kmsg.Request {
		return &kmsg.SyncGroupRequest{Group: "no-such", Generation: 1, MemberID: seen.member, ProtocolType: new("consumer"), Protocol: new("sticky")}
	})
	l.each("sync by another type", 5, 5, func(seen *given, _ int16) kmsg.Request {
		return &kmsg.SyncGroupRequest{Group: "no-such", Generation: 1, MemberID: seen.member, ProtocolType: new("connect"), Protocol: new("range")}
	})
	for name, change := range inOrder(map[string]func(*kmsg.JoinGroupRequest){
		"as a stranger":        func(r *kmsg.JoinGroupRequest) { r.MemberID = "nobody" },
		"by another type":      func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" },
		"by no type":           func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" },
		"by another protocol":  func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "sticky" },
		"by no protocol":       func(r *kmsg.JoinGroupRequest) { r.Protocols = nil },
		"with a short session": func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 5999 },
		"with a long session":  func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1_800_001 },
	}) {
		l.each("join "+name, 0, 9, always(func() *kmsg.JoinGroupRequest {
			return join("stranger", change)
		}))
	}
	l.each("join as a static stranger", 5, 9, always(func() *kmsg.JoinGroupRequest {
		return join("stranger", func(r *kmsg.JoinGroupRequest) { r.InstanceID = new("i") })
	}))
	l.each("delete a group with members", 0, 2, always(func() *kmsg.DeleteGroupsRequest {
		return &kmsg.DeleteGroupsRequest{Groups: []string{"no-such", "nobody's", ""}}
	}))
	l.one("delete offsets that members read", 0, &kmsg.OffsetDeleteRequest{Group: "no-such", Topics: []kmsg.OffsetDeleteRequestTopic{
		{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 99}}},
		{Topic: "gone", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}},
	}})
	l.each("leave as a stranger", 0, 2, always(func() *kmsg.LeaveGroupRequest {
		return &kmsg.LeaveGroupRequest{Group: "no-such", MemberID: "nobody"}
	}))
	l.each("leave as strangers", 3, 5, always(func() *kmsg.LeaveGroupRequest {
		return &kmsg.LeaveGroupRequest{Group: "no-such", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "nobody"}, {InstanceID: new("i")}, {}}}
	}))
	l.each("leave with a stranger", 5, 5, func(seen *given, _ int16) kmsg.Request {
		return &kmsg.LeaveGroupRequest{Group: "no-such", Members: []kmsg.LeaveGroupRequestMember{{MemberID: seen.member}, {MemberID: "nobody"}, {MemberID: seen.member}}}
	})
	l.each("delete groups, good and bad", 2, 2, always(func() *kmsg.DeleteGroupsRequest {
		return &kmsg.DeleteGroupsRequest{Groups: []string{"no-such", "nobody's", "", "no-such"}}
	}))
}

// configs are steps with configs of resources that exist and some that do not.
func (l *neighbours) configs() {
	const topic, broker, group, unknown = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceType(99)
	type resource struct {
		kind kmsg.ConfigResourceType
		name string
	}
	named := []resource{{topic, "t"}, {topic, "no-such"}, {topic, "no/such"}, {topic, ""}, {broker, "9"}, {broker, "x"}, {broker, "-1"}, {unknown, "t"}, {group, ""}}
	l.each("describe configs, good and bad", 1, 4, always(func() *kmsg.DescribeConfigsRequest {
		req := kmsg.NewPtrDescribeConfigsRequest()
		for _, r := range named {
			one := kmsg.NewDescribeConfigsRequestResource()
			one.ResourceType, one.ResourceName, one.ConfigNames = r.kind, r.name, []string{"retention.ms", "no.such", "retention.ms"}
			req.Resources = append(req.Resources, one)
		}
		return req
	}), "ReadOnly", "Source")
	values := map[string]*string{"text": new("soon"), "negative": new("-2"), "empty": new(""), "large": new("99999999999999999999"), "null": nil, "spaced": new(" 7 "), "fraction": new("1.5")}
	keys := []string{"retention.ms", "segment.bytes", "min.cleanable.dirty.ratio", "cleanup.policy", "compression.type", "preallocate", "message.timestamp.type", "no.such"}
	for valued, value := range inOrder(values) {
		for _, key := range keys {
			l.each(fmt.Sprintf("set %s to %s", key, valued), 1, 1, always(func() *kmsg.IncrementalAlterConfigsRequest {
				return &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: topic, ResourceName: "t", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: value}}}}}
			}))
			l.each(fmt.Sprintf("replace %s by %s", key, valued), 2, 2, always(func() *kmsg.AlterConfigsRequest {
				return &kmsg.AlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: topic, ResourceName: "t", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: key, Value: value}}}}}
			}))
		}
	}
	for _, r := range named {
		for op := range kmsg.IncrementalAlterConfigOp(6) {
			l.each(fmt.Sprintf("alter by %d of %s %q", op, r.kind, r.name), 0, 1, always(func() *kmsg.IncrementalAlterConfigsRequest {
				return &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: r.kind, ResourceName: r.name, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "cleanup.policy", Op: op, Value: new("compact")}}}}}
			}))
		}
		l.each(fmt.Sprintf("replace configs of %s %q", r.kind, r.name), 0, 2, always(func() *kmsg.AlterConfigsRequest {
			return &kmsg.AlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: r.kind, ResourceName: r.name, Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "cleanup.policy", Value: new("compact")}}}}}
		}))
	}
	l.each("alter a config twice", 0, 1, always(func() *kmsg.IncrementalAlterConfigsRequest {
		one := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: "cleanup.policy", Value: new("compact")}
		return &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: topic, ResourceName: "t", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{one, one}}}}
	}))
	l.each("alter a resource twice", 0, 1, always(func() *kmsg.IncrementalAlterConfigsRequest {
		one := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: topic, ResourceName: "t", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "cleanup.policy", Value: new("compact")}}}
		return &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.IncrementalAlterConfigsRequestResource{one, one}}
	}))
}
