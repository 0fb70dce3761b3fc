package metadata

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/broker/raftgroup"
	"github.com/millrace/millrace/broker/raftlog"
	"github.com/millrace/millrace/internal/vfs"
)

// snapshotBytes is how long the log may grow before a snapshot takes its place,
// at least; it may also grow to the size of the last snapshot.
const snapshotBytes = 4 << 20

// Errors of a store.
var (
	// ErrFailed: an earlier write failed, so nothing more is written until the
	// store is opened again.
	ErrFailed = errors.New("metadata log has failed and takes no more changes until the broker is started again")
	// ErrNoSpace: the disk is full; nothing was committed and the store goes on.
	ErrNoSpace = errors.New("no space left for the metadata")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("metadata store is closed")
	// ErrNotLeader: another node leads the metadata, or none; nothing was committed.
	ErrNotLeader = raftgroup.ErrNotLeader
	// ErrUncertain: the lead of the metadata was lost before the commit; the next leader may
	// commit it or drop it. A group of one voter never returns it but when it is closed.
	ErrUncertain = raftgroup.ErrUncertain
)

// CorruptionError says where the metadata log is damaged.
type CorruptionError = raftlog.CorruptionError

// Config of a Store.
type Config struct {
	// Dir holds the files; it is created when missing.
	Dir string
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Logger gets a line when a torn tail is cut.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer

	// NodeID of this node in the group.
	NodeID int32
	// Voters are the nodes that a new group begins with, the same on each; nil is this
	// node alone. Join says that a new directory has no group of its own: it waits for
	// a leader to add it.
	Voters []int32
	Join   bool
	// Transport to the other nodes; nil as long as there is none.
	Transport raftgroup.Transport
	// snapshotBytes is shorter in tests.
	snapshotBytes int64
}

// Store is the metadata of a group on this node: the durable log with its latest image.
type Store struct {
	cfg     Config
	machine machine
	group   *raftgroup.Group
	metrics *storeMetrics

	turn sync.Mutex // held through a decision and its commit
}

// Open reads the metadata in cfg.Dir; a new directory gets an empty image. The only voter
// of a group leads it on return, and has everything that was ever committed.
// It fails with a [*CorruptionError] when damage comes before intact commits.
func Open(cfg Config) (*Store, error) {
	if cfg.FS == nil {
		cfg.FS = vfs.OS()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.snapshotBytes == 0 {
		cfg.snapshotBytes = snapshotBytes
	}
	s := &Store{cfg: cfg, metrics: newStoreMetrics()}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open metadata: %w", storeError(err))
	}
	if err := s.metrics.register(cfg.Registerer, s.group); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	log, data, err := openLog(s.cfg, s.metrics.appendSeconds.Observe)
	if err != nil {
		return err
	}
	if err := s.checkMember(log.Base().Members); err != nil {
		return errors.Join(err, log.Close())
	}
	s.group, err = raftgroup.Open(raftgroup.Config{
		ID: memberID(s.cfg.NodeID), Log: log, Data: data, StateMachine: &s.machine, Transport: s.cfg.Transport,
		SnapshotBytes: s.cfg.snapshotBytes, Logger: s.cfg.Logger,
	})
	return err
}

// checkMember refuses the metadata of another node: nobody would ever lead it here. A node
// that others can reach may have been sent a snapshot from before it was added.
func (s *Store) checkMember(members *raftpb.ConfState) error {
	if id := memberID(s.cfg.NodeID); s.cfg.Transport == nil && !slices.Contains(members.GetVoters(), id) {
		return fmt.Errorf("%s is the metadata of a group that node %d is not in", s.cfg.Dir, s.cfg.NodeID)
	}
	return nil
}

// memberID is a node's id in the group: Raft has no member 0, Kafka has a node 0.
func memberID(nodeID int32) uint64 { return uint64(nodeID) + 1 }

// Image returns the latest image.
func (s *Store) Image() *Image { return s.machine.image.Load() }

// Group returns the Raft group, for its messages, clock, members and status.
func (s *Store) Group() *raftgroup.Group { return s.group }

// NodeOf is the node of a member of the group; -1 for 0, which is none.
func NodeOf(member uint64) int32 { return int32(member) - 1 }

// Update calls decide with the latest image and commits the records that it
// returns. No other decision is made meanwhile. On return the records are durable, on this node and
// on a majority of the voters, and the image that holds them is published; it is returned. Without
// records nothing is written. An error of decide is returned as it is. Others are
// ErrNotLeader, ErrNoSpace, ErrUncertain, ErrFailed, ErrClosed.
//
// With several voters it takes the time of their answers; when they do not come the lead
// ends after an election's time (ticks of the group), and Update with it.
func (s *Store) Update(decide func(*Image) ([]Record, error)) (*Image, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	done := make(chan error, 1)
	if image, err := s.begin(decide, done); image != nil || err != nil {
		return s.orImage(image), err
	}
	err := storeError(<-done)
	return s.Image(), err
}

func (s *Store) orImage(i *Image) *Image {
	if i == nil {
		i = s.Image()
	}
	return i
}

// begin makes a decision and proposes its records; done gets the outcome. An image
// or an error says that there is nothing to wait for. The next decision must wait.
func (s *Store) begin(decide func(*Image) ([]Record, error), done chan<- error) (*Image, error) {
	term, err := s.group.Lead()
	if err != nil {
		return nil, storeError(err)
	}
	image := s.Image()
	records, err := decide(image)
	if err != nil || len(records) == 0 {
		return image, err
	}
	index := int64(s.group.Status().Last) + 1
	next, err := image.next(index, records)
	if err != nil {
		return nil, err
	}
	payload, err := encodeRecords(records)
	if err != nil {
		return nil, err
	}
	if len(payload) > payloadBytesMax {
		return nil, fmt.Errorf("%w: a commit of %d bytes", errRecord, len(payload))
	}
	s.machine.prepared.Store(&prepared{term: term, before: image, image: next})
	return nil, storeError(s.group.Propose(term, payload, func(err error) { done <- err }))
}

// storeError says in words of the metadata what an error of its log says.
func storeError(err error) error {
	switch {
	case errors.Is(err, raftlog.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, raftlog.ErrFailed):
		return fmt.Errorf("%w: %w", ErrFailed, err)
	case errors.Is(err, raftgroup.ErrClosed):
		return ErrClosed
	}
	return err
}

// Close releases the files. Everything that Update has returned for is durable already.
func (s *Store) Close() error {
	s.metrics.unregister()
	return s.group.Close()
}

// openLog opens the log of the group, taken over or new if there is none.
func openLog(cfg Config, appendSeconds func(float64)) (*raftlog.Log, []byte, error) {
	lc := raftlog.Config{Dir: cfg.Dir, FS: cfg.FS, Logger: cfg.Logger, AppendSeconds: appendSeconds}
	if err := vfs.MkdirAllDurable(cfg.FS, cfg.Dir); err != nil {
		return nil, nil, err
	}
	return takeOver(lc, firstMembers(cfg))
}

func firstMembers(cfg Config) *raftpb.ConfState {
	members := new(raftpb.ConfState)
	if cfg.Join {
		return members
	}
	for _, node := range cfg.Voters {
		members.Voters = append(members.Voters, memberID(node))
	}
	if len(cfg.Voters) == 0 {
		members.Voters = []uint64{memberID(cfg.NodeID)}
	}
	return members
}
