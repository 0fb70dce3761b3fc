package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestConsumerGroupsAnswerAsApacheKafka sends the same heartbeats, good and bad,
// to a real Apache Kafka and to this node, and compares every field.
func TestConsumerGroupsAnswerAsApacheKafka(t *testing.T) {
	compareWithKafka(t, consumerGroupSteps())
}

// beatOf is a heartbeat with changes.
func beatOf(group, member string, epoch int32, change ...func(*kmsg.ConsumerGroupHeartbeatRequest)) *kmsg.ConsumerGroupHeartbeatRequest {
	req := consumerHeartbeat(group, member)
	if req.MemberEpoch = epoch; epoch != 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = -1, nil, nil
	}
	for _, f := range change {
		f(req)
	}
	return req
}

func consumerGroupSteps() []comparedStep {
	type beat = kmsg.ConsumerGroupHeartbeatRequest
	var steps []comparedStep
	add := func(name string, version int16, req kmsg.Request, mask ...string) {
		steps = append(steps, comparedStep{name: name, version: version, req: req, mask: mask, loads: true})
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{topicToCreate("t", 2), topicToCreate("u", 2), topicToCreate("wide", 6)}
	create.TimeoutMillis = 10_000
	add("create", 7, create, "Configs")
	add("find", 6, &kmsg.FindCoordinatorRequest{CoordinatorKeys: []string{"g"}}, "Coordinators")
	static := func(b *beat) { b.InstanceID = new("i") }
	addMalformed(add)

	add("unknown group", 1, beatOf("nobody", "m", 3))
	add("leave unknown group", 1, beatOf("nobody", "m", -1))
	add("describe unknown", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"nobody", ""}})
	add("join", 1, beatOf("g", "m", 0))
	add("again", 1, beatOf("g", "m", 1))
	add("all of it", 1, beatOf("g", "m", 1, func(b *beat) {
		b.RebalanceTimeoutMillis, b.SubscribedTopicNames, b.Topics = 60_000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}))
	add("describe", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}, IncludeAuthorizedOperations: true}, "ClientHost")
	add("describe v0", 0, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}}, "ClientHost")
	add("describe as classic", 6, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}})
	add("describe as classic v5", 5, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}})
	add("list", 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"Consumer"}})
	add("list by state", 5, &kmsg.ListGroupsRequest{StatesFilter: []string{"stable"}})
	add("list classic", 5, &kmsg.ListGroupsRequest{TypesFilter: []string{"classic"}})
	add("ahead", 1, beatOf("g", "m", 2))
	add("rejoin", 1, beatOf("g", "m", 0))
	add("behind", 1, beatOf("g", "other", 1))
	add("second", 1, beatOf("g", "n", 0))
	add("first must give one up", 1, beatOf("g", "m", 1))
	add("first gave one up", 1, beatOf("g", "m", 1, func(b *beat) { b.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{} }))
	add("behind now", 1, beatOf("g", "m", 1))
	add("second gets it", 1, beatOf("g", "n", 2))
	add("no topics", 1, beatOf("g", "m", 2, func(b *beat) { b.SubscribedTopicNames = []string{} }))
	add("other topics", 1, beatOf("g", "m", 3, func(b *beat) { b.SubscribedTopicNames = []string{"u", "nowhere"} }))
	add("other assignor", 1, beatOf("g", "m", 4, func(b *beat) { b.ServerAssignor = new("range") }))
	add("describe both", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}}, "ClientHost")

	commit := func(member string, epoch int32) *kmsg.OffsetCommitRequest {
		return &kmsg.OffsetCommitRequest{Group: "g", MemberID: member, Generation: epoch, Topics: []kmsg.OffsetCommitRequestTopic{
			{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: 5, LeaderEpoch: -1, Metadata: new("")}}},
		}}
	}
	fetch := func(member *string, epoch int32) *kmsg.OffsetFetchRequest {
		return &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberID: member, MemberEpoch: epoch, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}}}}
	}
	for _, version := range []int16{8, 9} {
		for member, epoch := range map[string]int32{"m": 4, "n": 1, "x": 4, "": -1} {
			add(fmt.Sprintf("commit of %q v%d", member, version), version, commit(member, epoch))
		}
	}
	add("fetch", 9, fetch(nil, -1))
	add("fetch of m", 9, fetch(new("m"), 4))
	add("fetch of m, stale", 9, fetch(new("m"), 3))
	add("fetch of nobody", 9, fetch(new("x"), 3))
	add("delete offsets of t", 0, &kmsg.OffsetDeleteRequest{Group: "g", Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}})
	add("delete", 2, &kmsg.DeleteGroupsRequest{Groups: []string{"g"}})
	add("heartbeat of the classic protocol", 4, &kmsg.HeartbeatRequest{Group: "g", MemberID: "m", Generation: 4})
	add("sync of the classic protocol", 5, &kmsg.SyncGroupRequest{Group: "g", MemberID: "m", Generation: 4, ProtocolType: new("consumer"), Protocol: new("range")})
	add("leave by the classic protocol", 5, &kmsg.LeaveGroupRequest{Group: "g", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "m"}, {MemberID: "x"}}})
	add("leave", 1, beatOf("g", "m", -1))
	add("leave again", 1, beatOf("g", "m", -1))
	add("the other leaves", 0, beatOf("g", "n", -1))
	add("describe empty", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}})
	add("commit to empty", 9, commit("", -1))
	add("delete empty", 2, &kmsg.DeleteGroupsRequest{Groups: []string{"g"}})
	add("describe deleted", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}})

	add("static join", 1, beatOf("s", "m1", 0, static))
	add("static twice", 1, beatOf("s", "m2", 0, static))
	add("static fenced", 1, beatOf("s", "m2", 1, static))
	add("static goes for a while", 1, beatOf("s", "m1", -2, static))
	add("describe away", 1, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"s"}}, "ClientHost")
	add("static is back", 1, beatOf("s", "m2", 0, static))
	add("static beats", 1, beatOf("s", "m2", 1, static))
	add("static unknown", 1, beatOf("s", "m2", 1, func(b *beat) { b.InstanceID = new("j") }))
	add("static goes for good", 1, beatOf("s", "m2", -1, static))
	addGroupConfigs(add)
	return append(steps, revocationSteps()...)
}

// revocationSteps: while a member gives up what the second one is to have, a third one
// joins. The member's epoch grows by its own heartbeat, with more to give up; what it
// commits in the epoch before, as does a client that has not had the answer, is stale.
func revocationSteps() []comparedStep {
	type beat = kmsg.ConsumerGroupHeartbeatRequest
	var steps []comparedStep
	add := func(name string, version int16, build func(*given) kmsg.Request) {
		steps = append(steps, comparedStep{name: "revocation: " + name, version: version, build: build, loads: true})
	}
	heartbeat := func(name, member string, epoch int32, owned ...int32) {
		add(name, 1, func(seen *given) kmsg.Request {
			return beatOf("r", member, epoch, func(b *beat) {
				if epoch == 0 {
					b.SubscribedTopicNames = []string{"wide"}
				}
				if owned != nil {
					b.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: seen.topics["wide"], Partitions: owned}}
				}
			})
		})
	}
	commit := func(epoch int32) {
		add(fmt.Sprintf("commit in epoch %d, after step %d", epoch, len(steps)), 9, func(*given) kmsg.Request {
			return &kmsg.OffsetCommitRequest{Group: "r", MemberID: "m", Generation: epoch, Topics: []kmsg.OffsetCommitRequestTopic{
				{Topic: "wide", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: 5, LeaderEpoch: -1, Metadata: new("")}, {Partition: 2, Offset: 5, LeaderEpoch: -1, Metadata: new("")}}},
			}}
		})
	}
	heartbeat("the first joins", "m", 0)
	heartbeat("the second joins", "n", 0)
	heartbeat("the first must give up half", "m", 1)
	commit(1)
	heartbeat("the third joins", "o", 0)
	commit(1)
	heartbeat("the first has given up half, and must give up one more", "m", 1, 0, 1, 2)
	commit(1)
	commit(2)
	heartbeat("the first has given up that one", "m", 2, 0, 1)
	commit(2)
	commit(3)
	for _, member := range []string{"m", "n", "o"} {
		heartbeat(member+" leaves", member, -1)
	}
	return steps
}

// addGroupConfigs adds steps about the configs of groups (resource type GROUP).
func addGroupConfigs(add func(string, int16, kmsg.Request, ...string)) {
	const session, interval = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
	describe := func(group string) *kmsg.DescribeConfigsRequest {
		return &kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{
			{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: group, ConfigNames: []string{session, interval}},
		}}
	}
	alter := func(group string, op kmsg.IncrementalAlterConfigOp, name, value string) *kmsg.IncrementalAlterConfigsRequest {
		return &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{
			{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: group, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: op, Value: &value}}},
		}}
	}
	const set, del, plus = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend
	add("describe group configs", 4, describe("cfg"))
	add("describe configs of no group", 4, describe(""))
	add("set session", 1, alter("cfg", set, session, "50000"))
	add("set interval", 1, alter("cfg", set, interval, "6000"))
	add("describe what was set", 4, describe("cfg"))
	add("heartbeat of the group", 1, beatOf("cfg", "m", 0))
	add("leave the group", 1, beatOf("cfg", "m", -1))
	add("delete session", 1, alter("cfg", del, session, ""))
	add("describe what is left", 4, describe("cfg"))
	add("too short", 1, alter("cfg", set, session, "44999"))
	add("too long", 1, alter("cfg", set, session, "60001"))
	add("interval too short", 1, alter("cfg", set, interval, "4999"))
	add("interval too long", 1, alter("cfg", set, interval, "15001"))
	add("no number", 1, alter("cfg", set, session, "abc"))
	add("unknown name", 1, alter("cfg", set, "nothing", "1"))
	add("append", 1, alter("cfg", plus, session, "50000"))
	add("set for no group", 1, alter("", set, session, "50000"))
}

func addMalformed(add func(string, int16, kmsg.Request, ...string)) {
	type beat = kmsg.ConsumerGroupHeartbeatRequest
	for name, change := range map[string]func(*beat){
		"no group":           func(b *beat) { b.Group = "" },
		"no member":          func(b *beat) { b.MemberID = "" },
		"empty instance":     func(b *beat) { b.InstanceID = new("") },
		"empty rack":         func(b *beat) { b.RackID = new("") },
		"no timeout":         func(b *beat) { b.RebalanceTimeoutMillis = -1 },
		"owned null":         func(b *beat) { b.Topics = nil },
		"owned when joining": func(b *beat) { b.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{Partitions: []int32{0}}} },
		"no subscription":    func(b *beat) { b.SubscribedTopicNames = nil },
		"epoch -3":           func(b *beat) { b.MemberEpoch = -3 },
		"-2 without static":  func(b *beat) { b.MemberEpoch = -2 },
		"assignor":           func(b *beat) { b.ServerAssignor = new("sticky") },
		"regex":              func(b *beat) { b.SubscribedTopicRegex = new("(a") },
		"regex of Java":      func(b *beat) { b.SubscribedTopicRegex = new("(?=a)b") },
		"regex repeat":       func(b *beat) { b.SubscribedTopicRegex = new("a{2000}") },
		"regex brackets":     func(b *beat) { b.SubscribedTopicRegex = new("[b-a]") },
	} {
		for _, version := range []int16{0, 1} {
			if version == 1 || name != "no member" && name != "regex" && name != "regex of Java" && name != "regex repeat" && name != "regex brackets" {
				add(fmt.Sprintf("malformed: %s v%d", name, version), version, beatOf("bad", "m", 0, change))
			}
		}
	}
}
