package core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// buildBeat makes a ConsumerGroupHeartbeat. Without arguments it is the short
// one of a member that has nothing to say. topics= and regex= subscribe, owned= says
// what the member has (all is what it was told, none is nothing), epoch= overrides.
func (s *script) buildBeat(args map[string]string, a *actor, group string, instance *string, version int16) kmsg.Request {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Version, r.Group, r.InstanceID, r.MemberID, r.MemberEpoch = version, group, instance, a.id, a.epoch
	if r.MemberID == "" && version >= 1 {
		r.MemberID = a.name
	}
	if v, ok := args["epoch"]; ok {
		r.MemberEpoch = int32(number(v))
	}
	if r.MemberEpoch == 0 {
		r.RebalanceTimeoutMillis, r.Topics = 60_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	if v, ok := args["timeout"]; ok {
		r.RebalanceTimeoutMillis = int32(number(v))
	}
	if v, ok := args["topics"]; ok {
		r.SubscribedTopicNames = strings.FieldsFunc(v, func(c rune) bool { return c == ',' })
		if r.SubscribedTopicNames == nil {
			r.SubscribedTopicNames = []string{}
		}
	}
	if v, ok := args["regex"]; ok {
		r.SubscribedTopicRegex = &v
	}
	if v, ok := args["assignor"]; ok {
		r.ServerAssignor = &v
	}
	if v, ok := args["rack"]; ok {
		r.RackID = &v
	}
	if v, ok := args["owned"]; ok {
		r.Topics = s.ownedTopics(v, a)
	}
	return r
}

func (s *script) ownedTopics(text string, a *actor) []kmsg.ConsumerGroupHeartbeatRequestTopic {
	owned := assignment{}
	switch text {
	case "none":
	case "all":
		owned = a.assigned
	default:
		for one := range strings.SplitSeq(text, ",") {
			name, p, _ := strings.Cut(one, "/")
			id := s.topics[name].ID
			owned[id] = append(owned[id], int32(number(p)))
		}
	}
	topics := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, id := range owned.topics() {
		topics = append(topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: owned[id]})
	}
	return topics
}

func (s *script) beatText(b *strings.Builder, a *actor, r *kmsg.ConsumerGroupHeartbeatResponse) {
	fmt.Fprintf(b, "beat %s", codeName(r.ErrorCode))
	if r.ErrorCode != 0 {
		if r.ErrorMessage != nil {
			fmt.Fprintf(b, ": %s", *r.ErrorMessage)
		}
		return
	}
	a.epoch, a.id = max(r.MemberEpoch, 0), *r.MemberID
	fmt.Fprintf(b, " epoch %d", r.MemberEpoch)
	if r.HeartbeatIntervalMillis != 5000 && r.MemberEpoch >= 0 {
		fmt.Fprintf(b, " every %d ms", r.HeartbeatIntervalMillis)
	}
	if r.Assignment != nil {
		a.assigned = assignment{}
		for _, t := range r.Assignment.Topics {
			a.assigned[t.TopicID] = t.Partitions
		}
		fmt.Fprintf(b, " assignment [%s]", s.partitionsText(a.assigned))
	}
	if r.MemberEpoch < 0 {
		a.assigned = assignment{}
	}
}

func (s *script) partitionsText(a assignment) string {
	var out []string
	for tp := range a.all() {
		name, ok := s.view().TopicName(tp.topic)
		if !ok {
			name = "gone"
		}
		out = append(out, fmt.Sprintf("%s/%d", name, tp.partition))
	}
	return strings.Join(out, " ")
}

func (s *script) consumerDescribeText(b *strings.Builder, r *kmsg.ConsumerGroupDescribeResponse) {
	for i, g := range r.Groups {
		if i > 0 {
			b.WriteString("; ")
		}
		if g.ErrorCode != 0 {
			fmt.Fprintf(b, "%s: %s", codeName(g.ErrorCode), *g.ErrorMessage)
			continue
		}
		fmt.Fprintf(b, "%s is %s, epoch %d, target %d, %s", g.Group, g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName)
		for _, m := range g.Members {
			fmt.Fprintf(b, "\n    %s type %d epoch %d", s.name(m.MemberID), m.MemberType, m.MemberEpoch)
			if m.InstanceID != nil {
				fmt.Fprintf(b, " instance %s", *m.InstanceID)
			}
			fmt.Fprintf(b, " reads %s%s", strings.Join(m.SubscribedTopics, ","), *m.SubscribedTopicRegex)
			fmt.Fprintf(b, " has %s wants %s", describedText(m.Assignment), describedText(m.TargetAssignment))
		}
	}
}

func describedText(a kmsg.Assignment) string {
	var out []string
	for _, t := range a.TopicPartitions {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s/%d", t.Topic, p))
		}
	}
	return "[" + strings.Join(out, " ") + "]"
}

func (s *script) printConsumerRecord(c change) {
	switch c.kind {
	case changeEpoch:
		fmt.Fprintf(&s.out, "  log: %s epoch %d\n", c.group, c.generation)
	case changeMember:
		kind := ""
		if c.member.classic != nil {
			kind = " classic"
		}
		fmt.Fprintf(&s.out, "  log: %s member %s%s reads %s%s\n", c.group, s.name(c.name), kind, strings.Join(c.member.topics, ","), c.member.regex)
	case changeTargetEpoch:
		fmt.Fprintf(&s.out, "  log: %s target of epoch %d\n", c.group, c.generation)
	case changeTarget:
		fmt.Fprintf(&s.out, "  log: %s target of %s [%s]\n", c.group, s.name(c.name), s.partitionsText(c.assignment))
	case changeCurrent:
		state := map[memberState]string{memberStable: "stable", memberUnrevoked: "unrevoked", memberUnreleased: "unreleased"}[c.member.state]
		fmt.Fprintf(&s.out, "  log: %s member %s epoch %d %s [%s]", c.group, s.name(c.name), c.member.epoch, state, s.partitionsText(c.member.assigned))
		if len(c.member.revoking) > 0 {
			fmt.Fprintf(&s.out, " revokes [%s]", s.partitionsText(c.member.revoking))
		}
		s.out.WriteString("\n")
	case changeRegex:
		fmt.Fprintf(&s.out, "  log: %s regex %s = %s\n", c.group, c.name, strings.Join(c.regex.topics, ","))
	case changeMemberGone, changeTargetGone, changeCurrentGone, changeRegexGone:
		what := map[changeKind]string{changeMemberGone: "member", changeTargetGone: "target of", changeCurrentGone: "assignment of", changeRegexGone: "regex"}[c.kind]
		fmt.Fprintf(&s.out, "  log: %s %s %s gone\n", c.group, what, s.name(c.name))
	case changeConsumerGone:
		fmt.Fprintf(&s.out, "  log: %s consumer group gone\n", c.group)
	case changePartitionMetadata:
		fmt.Fprintf(&s.out, "  log: %s partition metadata %v\n", c.group, c.hasPartitionMetadata)
	default:
		s.t.Fatalf("record of kind %d", c.kind)
	}
}

// assignmentText shows an assignment of the consumer protocol; others as they are.
func assignmentText(data []byte) string {
	in := kmsg.NewConsumerMemberAssignment()
	if len(data) < 6 || data[0] != 0 || in.ReadFrom(data) != nil {
		return fmt.Sprintf("%q", data)
	}
	var out []string
	for _, t := range in.Topics {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s/%d", t.Topic, p))
		}
	}
	return "[" + strings.Join(out, " ") + "]"
}

// encodedAssignment turns t/0+t/1 into an assignment of the consumer protocol;
// other texts stay as they are.
func encodedAssignment(text string) string {
	if !strings.Contains(text, "/") {
		return text
	}
	out := kmsg.NewConsumerMemberAssignment()
	for one := range strings.SplitSeq(text, "+") {
		name, p, _ := strings.Cut(one, "/")
		at := slices.IndexFunc(out.Topics, func(t kmsg.ConsumerMemberAssignmentTopic) bool { return t.Topic == name })
		if at < 0 {
			out.Topics = append(out.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: name})
			at = len(out.Topics) - 1
		}
		out.Topics[at].Partitions = append(out.Topics[at].Partitions, int32(number(p)))
	}
	return string(out.AppendTo(nil))
}

// consumerRecords are records of each kind that consumer groups write.
func consumerRecords() []Record {
	m := newConsumerMember("m")
	m.instance, m.rack, m.assignor, m.client = new("i"), new("r"), new(rangeAssignor), Client{"c", "/1.2.3.4"}
	m.topics, m.regex, m.rebalanceTimeoutMs = []string{"t", "u"}, "x.*", 1000
	m.classic = &classicMember{sessionTimeoutMs: 6000, protocols: []protocol{{"range", []byte{0, 1}}, {"sticky", []byte{}}}}
	m.epoch, m.previousEpoch, m.state = 3, 2, memberUnrevoked
	m.assigned, m.revoking = assignment{{1}: {0, 5}}, assignment{{2}: {7}}
	return []Record{
		epochRecord("g", 3, 12345, 9), epochRecord("g", 3, 0, 9), memberRecord("g", m), targetEpochRecord("g", 3),
		targetRecord("g", "m", m.assigned), currentRecord("g", m), regexRecord("g", "x.*", &resolvedRegex{[]string{"x1", "x2"}, 4, 5}),
		partitionMetadataTombstone("g"), memberTombstone("g", "m"), targetEpochTombstone("g"), targetTombstone("g", "m"),
		currentTombstone("g", "m"), regexTombstone("g", "x.*"), epochTombstone("g"),
	}
}
