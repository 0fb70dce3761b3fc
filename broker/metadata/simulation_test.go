package metadata

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/broker/raftgroup"
)

// runsFactor is how many times longer than in CI a simulation shall run.
func runsFactor(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MILLRACE_TEST_LONGER")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MILLRACE_TEST_LONGER is %q: write a number", text)
	}
	return n
}

// TestSimulation runs groups of three nodes on one thread: messages are lost,
// repeated and reordered, nodes are cut off, lose power at any change of their file system,
// and find their disks full. At each step:
//
//   - two nodes never lead in the same term;
//   - images of the same index are equal on all nodes, so no commit is lost or reordered;
//   - a decision sees every commit that was acknowledged before it.
//
// In the end the group agrees within a bounded time, and has all that was acknowledged.
func TestSimulation(t *testing.T) {
	totals := map[string]int{}
	for seed := range uint64(8 * runsFactor(t)) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			s := newSim(t, seed)
			s.run(5000)
			s.settle()
			for _, event := range s.trace {
				kind, _, _ := strings.Cut(event, " ")
				totals[kind]++
			}
		})
	}
	t.Log(totals)
	for _, kind := range []string{"acknowledged", "refused", "uncertain", "crash", "died", "full", "cut", "snapshot", "installed", "member"} {
		if totals[kind] == 0 {
			t.Errorf("no event of the kind %s in all runs: they do not prove what they should", kind)
		}
	}
}

func TestASimulationReplaysFromItsSeed(t *testing.T) {
	var traces [2]string
	for i := range traces {
		t.Run("run", func(t *testing.T) {
			s := newSim(t, 4711)
			s.run(500)
			s.settle()
			traces[i] = strings.Join(s.trace, "\n")
		})
	}
	if traces[0] != traces[1] || traces[0] == "" {
		t.Errorf("two runs of a seed differ:\n%s\n\n%s", traces[0], traces[1])
	}
}

// sim is a group of nodes with everything that may happen to it.
type sim struct {
	t      *testing.T
	random *rand.Rand
	nodes  []*simNode
	wire   []*simMessage
	cut    map[[2]uint64]bool // from, to
	trace  []string

	leaders  map[uint64]uint64 // by term
	images   map[int64]string  // by index
	acked    []simCommit
	decision int
}

type simMessage struct {
	from, to uint64
	content  []byte
	snapshot bool
}

// simCommit is a decision: it got a number from the image, and leaves its token under that number.
type simCommit struct {
	number int64
	token  string
}

func newSim(t *testing.T, seed uint64) *sim {
	cryptotest.SetGlobalRandom(t, seed) // of the elections' times
	s := &sim{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]uint64]bool{},
		leaders: map[uint64]uint64{}, images: map[int64]string{},
	}
	growing := seed%3 == 0 // one node, to which the others are added
	for id := range int32(3) {
		c := Config{NodeID: id, Voters: []int32{0, 1, 2}}
		if growing {
			c.Voters, c.Join = nil, id > 0
		}
		s.nodes = append(s.nodes, newSimNode(s, c))
	}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			n.stop()
		}
	})
	return s
}

func (s *sim) note(format string, v ...any) { s.trace = append(s.trace, fmt.Sprintf(format, v...)) }

// run takes steps of all kinds.
func (s *sim) run(steps int) {
	for range steps {
		n := s.nodes[s.random.IntN(len(s.nodes))]
		switch p := s.random.IntN(1000); {
		case n.store == nil:
			if p < 200 {
				n.start()
			}
		case p < 560:
			for range 1 + s.random.IntN(5) {
				s.deliver()
			}
		case p < 840:
			n.note(n.store.group.Tick())
		case p < 965:
			n.decide()
		case p < 970:
			s.toggleCut()
		case p < 974:
			n.crash()
		case p < 978:
			n.dieAfter = 1 + s.random.IntN(6)
		case p < 984:
			n.fullAt = 1 + s.random.IntN(3)
		case p < 990:
			n.compact()
		default:
			s.changeMembers(n)
		}
		s.check()
	}
}

func (s *sim) toggleCut() {
	if len(s.cut) > 0 && s.random.IntN(2) == 0 {
		clear(s.cut)
		return
	}
	from, to := uint64(1+s.random.IntN(3)), uint64(1+s.random.IntN(3))
	s.cut[[2]uint64{from, to}] = true
	if s.random.IntN(2) == 0 {
		s.cut[[2]uint64{to, from}] = true
	}
	s.note("cut %d %d", from, to)
}

// send puts messages on the wire; what it cannot take is lost.
func (s *sim) send(messages []*raftpb.Message) {
	for _, m := range messages {
		content, err := proto.Marshal(m)
		if err != nil {
			s.t.Fatal(err)
		}
		s.wire = append(s.wire, &simMessage{from: m.GetFrom(), to: m.GetTo(), content: content, snapshot: m.GetType() == raftpb.MsgSnap})
	}
	for len(s.wire) > 300 {
		s.arrived(s.take(0), false)
	}
}

func (s *sim) take(i int) *simMessage {
	m := s.wire[i]
	s.wire = slices.Delete(s.wire, i, i+1)
	return m
}

// deliver hands over any message, or loses it, or leaves a second one on the wire.
func (s *sim) deliver() {
	if len(s.wire) == 0 {
		return
	}
	i := 0
	if s.random.IntN(3) == 0 {
		i = s.random.IntN(len(s.wire))
	}
	m := s.take(i)
	to := s.nodes[m.to-1]
	switch p := s.random.IntN(100); {
	case p < 4 || s.cut[[2]uint64{m.from, m.to}] || to.store == nil:
		s.arrived(m, false)
		return
	case p < 8:
		s.wire = append(s.wire, m)
	}
	s.hand(m)
}

func (s *sim) hand(m *simMessage) {
	to := s.nodes[m.to-1]
	message := new(raftpb.Message)
	if err := proto.Unmarshal(m.content, message); err != nil {
		s.t.Fatal(err)
	}
	before := to.image().Index
	err := to.store.group.Step(message)
	to.note(err)
	if m.snapshot && to.image().Index > before {
		s.note("installed %d", m.to)
	}
	s.arrived(m, err == nil)
}

// arrived is what a transport tells the sender.
func (s *sim) arrived(m *simMessage, ok bool) {
	from := s.nodes[m.from-1]
	switch {
	case from.store == nil || from.dead():
	case m.snapshot:
		from.note(from.store.group.ReportSnapshot(m.to, ok))
	case !ok:
		from.note(from.store.group.ReportUnreachable(m.to))
	}
}

// changeMembers adds the first node that has no vote, or takes the vote of one that has.
func (s *sim) changeMembers(n *simNode) {
	term, err := n.store.group.Lead()
	if err != nil || n.dead() {
		return
	}
	change := raftpb.ConfChangeAddNode
	members := n.store.group.Status().Members
	var id uint64
	for id = 1; id <= 3 && slices.ContainsFunc(members, func(m raftgroup.Member) bool { return m.ID == id }); {
		id++
	}
	if id > 3 {
		if id = uint64(1 + s.random.IntN(3)); id == memberID(n.id) || s.random.IntN(3) > 0 {
			return
		}
		change = raftpb.ConfChangeRemoveNode
	}
	err = n.store.group.ChangeMembers(term, &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: change.Enum(), NodeId: new(id)}}}, func(err error) {
		if err == nil {
			s.note("member %d %s", id, change)
		}
	})
	if err != nil && !errors.Is(err, ErrNotLeader) {
		n.note(err)
	}
}

// check compares what the nodes have come to with what was seen before.
func (s *sim) check() {
	for _, n := range s.nodes {
		if n.store == nil {
			continue
		}
		if n.dead() { // it has acted on a disk that is no longer there
			n.stop()
			continue
		}
		n.outcome()
		status := n.store.group.Status()
		if status.Leader == status.ID {
			if other := s.leaders[status.Term]; other != 0 && other != status.ID {
				s.t.Fatalf("members %d and %d lead in term %d", other, status.ID, status.Term)
			}
			s.leaders[status.Term] = status.ID
		}
		s.checkImage(n)
	}
}

func (s *sim) checkImage(n *simNode) {
	image := n.image()
	if image == n.checked {
		return
	}
	if n.checked != nil && image.Index < n.checked.Index {
		s.t.Fatalf("node %d went back from index %d to %d", n.id, n.checked.Index, image.Index)
	}
	n.checked = image
	got := text(s.t, image)
	if want, seen := s.images[image.Index]; seen && got != want {
		s.t.Fatalf("node %d at index %d has\n%s\nanother had\n%s", n.id, image.Index, got, want)
	}
	s.images[image.Index] = got
}

// settle ends all faults and waits for the group to agree.
func (s *sim) settle() {
	clear(s.cut)
	for round := 0; ; round++ {
		if round == 3000 {
			for _, n := range s.nodes {
				s.t.Logf("node %d: %+v", n.id, n.store.group.Status())
			}
			s.t.Fatal("the group does not agree")
		}
		for _, n := range s.nodes {
			n.dieAfter, n.fullAt = 0, 0
			if n.store == nil {
				n.start()
				n.dieAfter, n.fullAt = 0, 0
			}
			n.note(n.store.group.Tick())
		}
		for batch := len(s.wire); batch > 0 && len(s.wire) > 0; batch-- {
			s.hand(s.take(0))
		}
		s.check()
		if s.agreed() {
			break
		}
	}
	final := s.leader().image()
	for _, c := range s.acked {
		if got := final.Configs(ResourceBroker, "")[fmt.Sprint(c.number)]; got != c.token {
			s.t.Fatalf("decision %d of %q was acknowledged, in the end there is %q", c.number, c.token, got)
		}
	}
}

// leader is the node that leads, nil if none does.
func (s *sim) leader() *simNode {
	for _, n := range s.nodes {
		if status := n.store.group.Status(); status.Leader == status.ID {
			return n
		}
	}
	return nil
}

// agreed makes a last decision when there is a leader, and says whether all who
// are in the group have the same.
func (s *sim) agreed() bool {
	leader := s.leader()
	if leader == nil {
		return false
	}
	status := leader.store.group.Status()
	if status.Commit != status.Last || status.Applied != status.Last {
		return false
	}
	for _, m := range status.Members {
		n := s.nodes[m.ID-1]
		if n.store.group.Status().Applied != status.Applied {
			return false
		}
		if got, want := text(s.t, n.image()), text(s.t, leader.image()); got != want {
			s.t.Fatalf("node %d has in the end\n%s\nthe leader\n%s", n.id, got, want)
		}
	}
	return true
}
