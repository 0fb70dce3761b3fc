package core

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rewrite writes what the scripts print now into their files.
func rewrite() bool { return flag.Lookup("rewrite").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("rewrite", false, "write the golden scripts anew")
	os.Exit(m.Run())
}

// TestScripts runs each testdata/*.txt: lines that begin with "> " are commands,
// the lines after each are what it must print.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if rewrite() {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s differs (run with -rewrite and look at the difference):\n%s", file, firstDifference(string(want), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			from := max(0, i-5)
			return strings.Join(g[from:i], "\n") + "\n- " + w[i] + "\n+ " + g[i]
		}
	}
	return fmt.Sprintf("%d lines wanted, %d printed", len(w), len(g))
}

// script runs commands against a shard and a log that is a slice.
type script struct {
	t       *testing.T
	out     strings.Builder
	cfg     Config
	shard   *Shard
	nowMs   int64
	lives   uint64
	log     []Record
	failing bool
	token   Token
	asked   map[Token]*actor
	actors  map[string]*actor
	names   map[string]string // member id to a name that does not change
	topics  map[string]Topic
	version int64 // of the topics
	configs map[string]map[string]string
}

// actor is one client of a script: what it knows from its last answers.
type actor struct {
	name, id   string
	generation int32
	members    int
	// epoch and assigned are what a member of a consumer group was told last.
	epoch    int32
	assigned assignment
}

func runScript(t *testing.T, text string) string {
	cfg := DefaultConfig()
	cfg.GroupMembersMax, cfg.GroupsMax, cfg.OffsetMetadataBytesMax = 3, 3, 16
	s := &script{t: t, cfg: cfg, nowMs: 1_000_000, asked: map[Token]*actor{}, actors: map[string]*actor{}, names: map[string]string{}}
	s.restart()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			s.out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			s.out.WriteString(line + "\n")
			s.command(strings.Fields(line[2:]))
		}
	}
	return s.out.String()
}

func (s *script) restart() {
	s.lives++
	s.shard = New(s.cfg, rand.New(rand.NewPCG(s.lives, 7)), s.view())
	for _, r := range s.log {
		if err := s.shard.Replay(r.Key, r.Value); err != nil {
			s.t.Fatalf("replay: %v", err)
		}
	}
	s.shard.Loaded(s.nowMs)
}

func (s *script) command(words []string) {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	switch words[0] {
	case "at": // time goes on, tick by tick
		until := s.nowMs + number(args["+"])
		for {
			deadline, ok := s.shard.NextDeadline()
			if !ok || deadline > until {
				break
			}
			s.nowMs = deadline
			s.print(s.shard.Tick(s.nowMs))
		}
		s.nowMs = until
	case "crash":
		for _, r := range s.shard.Drop(kerr.NotCoordinator.Code) {
			s.printReply(r)
		}
		s.restart()
	case "fail":
		s.failing = true
	case "topic":
		if s.topics == nil {
			s.topics = map[string]Topic{}
		}
		s.version++
		s.topics[args["name"]] = Topic{ID: [16]byte{byte(number(args["uuid"]))}, Partitions: int32(number(args["partitions"]))}
	case "config":
		s.configs = map[string]map[string]string{args["group"]: args}
	case "remove-topic":
		s.version++
		delete(s.topics, args["name"])
	case "drop-topic":
		s.print(s.shard.DeleteTopics(s.nowMs, func(name string, _ [16]byte) bool { return name == args["name"] }))
	default:
		s.request(words, args)
	}
}

func (s *script) request(words []string, args map[string]string) {
	who, ok := args["by"]
	if !ok {
		who = "admin"
	}
	a := s.actors[who]
	if a == nil {
		a = &actor{name: who, generation: -1}
		s.actors[who] = a
	}
	s.token++
	s.asked[s.token] = a
	request := s.build(words[0], a, args)
	// Through the wire, so that only what the version carries arrives.
	arrived := kmsg.RequestForKey(request.Key())
	arrived.SetVersion(request.GetVersion())
	if err := arrived.ReadFrom(request.AppendTo(nil)); err != nil {
		s.t.Fatalf("read the request again: %v", err)
	}
	in := Input{NowMs: s.nowMs, Token: s.token, Client: Client{ID: who, Host: "/10.0.0.1"}, Request: arrived}
	if s.topics != nil {
		in.Topics = func(name string) (Topic, bool) { topic, ok := s.topics[name]; return topic, ok }
	}
	s.print(s.shard.Step(in))
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *script) print(out Output) {
	for _, e := range out.Events {
		switch e.Kind {
		case EventRebalance:
			fmt.Fprintf(&s.out, "  rebalance of %s: %s\n", e.Group, e.Reason)
		case EventGeneration:
			fmt.Fprintf(&s.out, "  generation %d of %s with %d members\n", e.Generation, e.Group, e.Members)
		case EventMemberExpired:
			fmt.Fprintf(&s.out, "  session of %s ended\n", s.name(e.Member))
		case EventUpgraded:
			fmt.Fprintf(&s.out, "  %s becomes a consumer group in epoch %d with %d members\n", e.Group, e.Generation, e.Members)
		case EventDowngraded:
			fmt.Fprintf(&s.out, "  %s becomes a classic group in generation %d with %d members\n", e.Group, e.Generation, e.Members)
		case EventOffsetsExpired:
			fmt.Fprintf(&s.out, "  %d offsets of %s expired\n", e.Count, e.Group)
		}
	}
	if len(out.Records) > 0 && s.failing {
		s.failing = false
		fmt.Fprintf(&s.out, "  append of %d records failed\n", len(out.Records))
		for _, r := range out.Replies {
			r.Response = WithError(r.Response, kerr.CoordinatorNotAvailable.Code)
			s.printReply(r)
		}
		s.print(s.shard.AppendFailed(s.nowMs, out.Records))
		return
	}
	for _, r := range out.Records {
		s.printRecord(r)
	}
	s.log = append(s.log, out.Records...)
	s.shard.Appended(out.Records)
	for _, r := range out.Replies {
		s.printReply(r)
	}
}

func (s *script) printRecord(r Record) {
	c, err := decode(r.Key, r.Value)
	if err != nil {
		s.t.Fatalf("a record that was written cannot be read: %v", err)
	}
	switch c.kind {
	case changeOffset:
		fmt.Fprintf(&s.out, "  log: offset %s %s/%d = %d\n", c.group, c.topic, c.partition, c.offset.offset)
	case changeOffsetGone:
		fmt.Fprintf(&s.out, "  log: offset %s %s/%d gone\n", c.group, c.topic, c.partition)
	case changeGroup:
		var members []string
		for _, m := range c.value.Members {
			members = append(members, s.name(m.MemberID)+"="+strings.Trim(assignmentText(m.Assignment), `"`))
		}
		leader := ""
		if c.value.Leader != nil {
			leader = " leader " + s.name(*c.value.Leader)
		}
		fmt.Fprintf(&s.out, "  log: group %s generation %d%s [%s]\n", c.group, c.value.Generation, leader, strings.Join(members, " "))
	case changeGroupGone:
		fmt.Fprintf(&s.out, "  log: group %s gone\n", c.group)
	case changeNone:
	default:
		s.printConsumerRecord(c)
	}
}

// name calls a member after the client and the number of its ids so far.
func (s *script) name(id string) string {
	if len(id) < 37 {
		return id
	}
	if s.names[id] == "" {
		prefix, n := id[:len(id)-37], 1
		for other := range s.names {
			if strings.HasPrefix(other, prefix+"-") {
				n++
			}
		}
		s.names[id] = fmt.Sprintf("%s#%d", prefix, n)
	}
	return s.names[id]
}

func codeName(code int16) string {
	if code == 0 {
		return "ok"
	}
	return kerr.TypedErrorForCode(code).Message
}

// roundTrip proves that the answer survives its wire format.
func (s *script) roundTrip(r kmsg.Response) {
	wire := r.AppendTo(nil)
	again := kmsg.ResponseForKey(r.Key())
	again.SetVersion(r.GetVersion())
	if err := again.ReadFrom(wire); err != nil {
		s.t.Fatalf("an answer cannot be read: %v", err)
	}
	if !bytes.Equal(again.AppendTo(nil), wire) {
		s.t.Fatalf("an answer changes when it is read and written again: %+v", r)
	}
}

func (s *script) printReply(r Reply) {
	a := s.asked[r.Token]
	if a == nil {
		s.t.Fatalf("token %d is answered twice, or was never asked", r.Token)
	}
	delete(s.asked, r.Token)
	s.roundTrip(r.Response)
	fmt.Fprintf(&s.out, "  %s: %s\n", a.name, s.replyText(a, r.Response))
}

func (s *script) replyText(a *actor, response kmsg.Response) string {
	var b strings.Builder
	switch r := response.(type) {
	case *kmsg.JoinGroupResponse:
		s.joinText(&b, a, r)
	case *kmsg.ConsumerGroupHeartbeatResponse:
		s.beatText(&b, a, r)
	case *kmsg.ConsumerGroupDescribeResponse:
		s.consumerDescribeText(&b, r)
	case *kmsg.SyncGroupResponse:
		fmt.Fprintf(&b, "sync %s", codeName(r.ErrorCode))
		if r.ErrorCode == 0 {
			fmt.Fprintf(&b, " assignment %s", assignmentText(r.MemberAssignment))
		}
	case *kmsg.HeartbeatResponse:
		fmt.Fprintf(&b, "heartbeat %s", codeName(r.ErrorCode))
	case *kmsg.LeaveGroupResponse:
		fmt.Fprintf(&b, "leave %s", codeName(r.ErrorCode))
		for _, m := range r.Members {
			fmt.Fprintf(&b, " %s:%s", s.name(m.MemberID), codeName(m.ErrorCode))
		}
	case *kmsg.OffsetCommitResponse:
		b.WriteString("commit")
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&b, " %s/%d:%s", t.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
	case *kmsg.OffsetFetchResponse:
		fetchText(&b, r)
	case *kmsg.OffsetDeleteResponse:
		fmt.Fprintf(&b, "delete-offsets %s", codeName(r.ErrorCode))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&b, " %s/%d:%s", t.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
	case *kmsg.DeleteGroupsResponse:
		b.WriteString("delete")
		for _, g := range r.Groups {
			fmt.Fprintf(&b, " %s:%s", g.Group, codeName(g.ErrorCode))
		}
	case *kmsg.ListGroupsResponse:
		fmt.Fprintf(&b, "list %s", codeName(r.ErrorCode))
		for _, g := range r.Groups {
			fmt.Fprintf(&b, " %s(%s,%s,%s)", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
	case *kmsg.DescribeGroupsResponse:
		s.describeText(&b, r)
	}
	return b.String()
}

func (s *script) joinText(b *strings.Builder, a *actor, r *kmsg.JoinGroupResponse) {
	fmt.Fprintf(b, "join %s", codeName(r.ErrorCode))
	if r.ErrorCode == 0 || r.ErrorCode == kerr.MemberIDRequired.Code {
		a.id = r.MemberID
	}
	if r.MemberID != "" {
		fmt.Fprintf(b, " as %s", s.name(r.MemberID))
	}
	if r.ErrorCode != 0 {
		return
	}
	a.generation, a.members = r.Generation, len(r.Members)
	fmt.Fprintf(b, " generation %d leader %s", r.Generation, s.name(r.LeaderID))
	if r.Protocol != nil {
		fmt.Fprintf(b, " protocol %s", *r.Protocol)
	}
	if r.SkipAssignment {
		b.WriteString(" skip-assignment")
	}
	for _, m := range r.Members {
		fmt.Fprintf(b, " %s{%s}", s.name(m.MemberID), printable(m.ProtocolMetadata))
	}
}

// printable leaves bytes out that are not text.
func printable(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, b)
}

func fetchText(b *strings.Builder, r *kmsg.OffsetFetchResponse) {
	fmt.Fprintf(b, "fetch %s", codeName(r.ErrorCode))
	one := func(topic string, p kmsg.OffsetFetchResponseTopicPartition) {
		fmt.Fprintf(b, " %s/%d=%d(%q,%d,%s)", topic, p.Partition, p.Offset, *p.Metadata, p.LeaderEpoch, codeName(p.ErrorCode))
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			one(t.Topic, p)
		}
	}
	for _, g := range r.Groups {
		fmt.Fprintf(b, " [%s %s", g.Group, codeName(g.ErrorCode))
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one(t.Topic, kmsg.OffsetFetchResponseTopicPartition(p))
			}
		}
		b.WriteString("]")
	}
}

func (s *script) describeText(b *strings.Builder, r *kmsg.DescribeGroupsResponse) {
	b.WriteString("describe")
	for _, g := range r.Groups {
		fmt.Fprintf(b, " %s %s %s type=%q protocol=%q operations=%d", g.Group, codeName(g.ErrorCode), g.State, g.ProtocolType, g.Protocol, g.AuthorizedOperations)
		if g.ErrorMessage != nil {
			fmt.Fprintf(b, " message=%q", *g.ErrorMessage)
		}
		for _, m := range g.Members {
			fmt.Fprintf(b, " %s(%s %s){%s}{%s}", s.name(m.MemberID), m.ClientID, m.ClientHost, printable(m.ProtocolMetadata), m.MemberAssignment)
		}
	}
}

func TestNamesOfStates(t *testing.T) {
	// As DescribeGroups and ListGroups spell them.
	got := []State{Empty, PreparingRebalance, CompletingRebalance, Stable, Dead}
	want := []State{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}
	if !slices.Equal(got, want) {
		t.Errorf("states are %v", got)
	}
}

// view is what the script's consumer groups see of its topics.
func (s *script) view() Image { return scriptImage{s} }

// scriptImage has the topics and group configs of a script.
type scriptImage struct{ s *script }

func (i scriptImage) Version() int64                  { return i.s.version }
func (i scriptImage) Topic(name string) (Topic, bool) { return fakeImage(i.s.topics).Topic(name) }
func (i scriptImage) TopicName(id [16]byte) (string, bool) {
	return fakeImage(i.s.topics).TopicName(id)
}

func (i scriptImage) TopicNames() []string                        { return fakeImage(i.s.topics).TopicNames() }
func (i scriptImage) GroupConfigs(group string) map[string]string { return i.s.configs[group] }
