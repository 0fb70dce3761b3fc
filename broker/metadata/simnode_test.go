package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/broker/raftlog"
	"github.com/millrace/millrace/internal/vfs"
)

// simNode is a node of a simulation; it has no store while it is down.
type simNode struct {
	sim    *sim
	id     int32
	config Config
	disk   *vfs.Mem
	store  *Store
	// checked is the image that was compared last since the start.
	checked *Image

	// dieAfter counts the changes of the file system down to a loss of power, left is what
	// it leaves. fullAt counts the writes down to one that finds no space.
	dieAfter, fullAt int
	left             *vfs.Mem

	pending simCommit // the decision that done is about
	done    chan error
}

func newSimNode(s *sim, c Config) *simNode {
	n := &simNode{sim: s, id: c.NodeID, config: c, disk: vfs.NewMem(nil)}
	n.config.Dir, n.config.Transport, n.config.snapshotBytes = testDir, n, 4096
	return n
}

// Send implements raftgroup.Transport. What a node sends behind its death never happened.
func (n *simNode) Send(messages []*raftpb.Message) {
	if !n.dead() {
		n.sim.send(messages)
	}
}

// dead says whether the power went away in the midst of the last call.
func (n *simNode) dead() bool { return n.left != nil }

func (n *simNode) image() *Image { return n.store.Image() }

// start opens the store on what the disk holds. It may die again meanwhile.
func (n *simNode) start() {
	config := n.config
	config.FS = vfs.Observe(n.disk, vfs.Hooks{Before: n.before, After: n.after})
	n.fullAt, n.checked, n.done = 0, nil, nil
	store, err := Open(config)
	if err != nil {
		n.sim.t.Fatalf("node %d does not start: %v", n.id, err)
	}
	n.store = store
	n.sim.note("start %d %d", n.id, store.Image().Index)
	if n.dead() {
		n.stop()
	}
}

func (n *simNode) before(op vfs.Op) error {
	if op.Kind != "create" && op.Kind != "write" && op.Kind != "rename" || n.fullAt == 0 {
		return nil
	}
	if n.fullAt--; n.fullAt > 0 {
		return nil
	}
	n.sim.note("full %d %s", n.id, op.Kind)
	if op.Kind == "write" {
		return &vfs.ShortWrite{N: int(min(op.Size, 17)), Err: syscall.ENOSPC}
	}
	return syscall.ENOSPC
}

func (n *simNode) after(op vfs.Op) {
	if !op.Changes() || n.dieAfter == 0 {
		return
	}
	if n.dieAfter--; n.dieAfter == 0 {
		n.left = n.loss()
		n.sim.note("died %d %s", n.id, op.Kind)
	}
}

// loss is what a loss of power, or a kill, leaves of the disk.
func (n *simNode) loss() *vfs.Mem {
	modes := []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles}
	return n.disk.Crash(modes[n.sim.random.IntN(len(modes))], n.sim.random)
}

func (n *simNode) crash() {
	n.sim.note("crash %d", n.id)
	n.left = n.loss()
	n.stop()
}

// stop ends the store; what is on disk is what the loss of power left, if there was one.
func (n *simNode) stop() {
	if n.store == nil {
		return
	}
	n.dieAfter, n.fullAt = 0, 0
	if err := n.store.Close(); err != nil {
		n.sim.t.Fatal(err)
	}
	if n.left != nil {
		n.disk, n.left = n.left, nil
	}
	n.store, n.done = nil, nil
}

// note fails the simulation on errors that no fault explains.
func (n *simNode) note(err error) {
	if err == nil || n.dead() || errors.Is(err, raftlog.ErrNoSpace) {
		return
	}
	if text := err.Error(); text == "raft: cannot step as peer not found" {
		return // it was removed
	}
	n.sim.t.Fatalf("node %d: %v", n.id, err)
}

func (n *simNode) compact() {
	if err := n.store.group.Compact(); err == nil {
		n.sim.note("snapshot %d", n.id)
	} else {
		n.note(err)
	}
}

// decide takes the next number, if no decision is under way.
func (n *simNode) decide() {
	if n.done != nil {
		return
	}
	s := n.sim
	s.decision++
	n.pending = simCommit{token: fmt.Sprint("decision ", s.decision)}
	done := make(chan error, 1)
	_, err := n.store.begin(func(i *Image) ([]Record, error) {
		n.pending.number = i.NextProducerID + 1
		if last := len(s.acked) - 1; last >= 0 && i.NextProducerID < s.acked[last].number {
			s.t.Fatalf("node %d decides by number %d, %d is acknowledged", n.id, i.NextProducerID, s.acked[last].number)
		}
		return []Record{
			&ProducerIDsRecord{Next: n.pending.number},
			&ConfigRecord{Kind: ResourceBroker, Key: fmt.Sprint(n.pending.number), Value: new(n.pending.token)},
		}, nil
	}, done)
	switch {
	case err == nil:
		n.done = done
		if !n.dead() {
			n.outcome()
		}
	case !errors.Is(err, ErrNotLeader):
		n.note(err)
	}
}

// outcome sees whether the decision has come to an end.
func (n *simNode) outcome() {
	if n.done == nil {
		return
	}
	select {
	case err := <-n.done:
		n.done = nil
		n.end(err)
	default:
	}
}

func (n *simNode) end(err error) {
	s := n.sim
	switch {
	case err == nil:
		s.note("acknowledged %d %s", n.pending.number, n.pending.token)
		if got := n.image().Configs(ResourceBroker, "")[fmt.Sprint(n.pending.number)]; got != n.pending.token {
			s.t.Fatalf("acknowledged %q, the image has %q", n.pending.token, got)
		}
		s.acked = append(s.acked, n.pending)
	case errors.Is(err, ErrUncertain):
		s.note("uncertain %d", n.pending.number)
	case errors.Is(err, raftlog.ErrNoSpace), errors.Is(err, ErrNotLeader):
		s.note("refused %d", n.pending.number)
	case !errors.Is(err, fs.ErrClosed):
		s.t.Fatalf("node %d: %v", n.id, err)
	}
}
