package registry

import (
	"slices"

	"github.com/millrace/millrace/agent/batch"
)

// Meta says whose registry it is.
type Meta struct {
	// Agent is the agent's id, part of every file id.
	Agent string
	// Machine is a digest of the host's machine id, empty where it has none.
	Machine string
	// NextFile is the number of the next generation, NextPlan the id of the
	// next plan, NextSettings the number of the next settings.
	NextFile, NextPlan uint64
	NextSettings       uint32
}

// File is one generation of a file: the bytes that were written to an inode
// between its creation, or a truncation, and the next.
type File struct {
	// Number is the file's key here, ID its identity in records.
	Number uint64
	ID     string
	// Path is the path under which it was found; it never changes, and is the header of the same name.
	Path string
	// Current is the path that it was last seen under.
	Current string
	// Topic and Input that its lines belong to.
	Topic, Input string
	// Device, Inode and BirthNs say where the bytes are. BirthNs is 0 where the file system does not tell it.
	Device, Inode uint64
	BirthNs       int64
	// Base is the offset of the generation's first byte; not 0 only after the hole that a writer without O_APPEND leaves
	// when its file is truncated.
	Base int64
	// HeadLen bytes from Base on have the digest HeadSum. They grow with the file and never past HeadMax.
	HeadLen int32
	HeadSum uint64
	// Planned is the offset after the last byte that a plan holds, Acked the one after the last
	// acknowledged byte with nothing unacknowledged before it. Invariant: Base <= Acked <= Planned.
	Planned, Acked int64
	// TailLen bytes before Planned have the checksum TailSum.
	TailLen uint8
	TailSum uint32
	// Partition that its lines go to, -1 while none is chosen.
	Partition int32
	// MintedMs is when the generation was minted.
	MintedMs int64
	// Moved says that the next line is the file's first in another partition.
	Moved bool
	// Copy marks bytes that live in the copy of a truncated file.
	Copy bool
	// Forked marks a generation of the machine that this one was cloned from: only its plans are of interest.
	Forked bool
	// Ignored marks a file that is known and never read: a copy outside the globs.
	Ignored bool
}

// HeadMax is the largest number of first bytes that tell a file from others.
const HeadMax = 1024

// LaneKey names a lane: what is sent to one partition.
type LaneKey struct {
	Topic     string
	Partition int32
}

// Lane is the producer state of one partition.
type Lane struct {
	LaneKey
	// Cluster and TopicID that the producer's sequences belong to.
	Cluster string
	TopicID [16]byte
	// ProducerID and Epoch, -1 while there is none.
	ProducerID int64
	Epoch      int16
	// NextSequence is the sequence of the next record.
	NextSequence int32
	// Plans that are not acknowledged, in the order of their sequences.
	Plans []batch.Plan
}

// clone copies the lane; the segments of its plans are never changed and are shared.
func (l *Lane) clone() Lane {
	c := *l
	c.Plans = slices.Clone(l.Plans)
	return c
}

// state is all that a journal holds.
type state struct {
	meta     Meta
	inputs   map[string]int64
	settings map[uint32]string // JSON of batch.Settings
	files    map[uint64]*File
	lanes    map[LaneKey]*Lane
}

func newState() *state {
	return &state{
		inputs:   map[string]int64{},
		settings: map[uint32]string{},
		files:    map[uint64]*File{},
		lanes:    map[LaneKey]*Lane{},
	}
}

func (s *state) addPlan(key LaneKey, p *batch.Plan) {
	lane := s.lanes[key]
	if lane == nil {
		return
	}
	lane.Plans = append(lane.Plans, *p)
	lane.NextSequence = batch.AddSequence(p.FirstSequence, p.Records)
	s.meta.NextPlan = max(s.meta.NextPlan, p.ID+1)
	for i := range p.Segments {
		seg := &p.Segments[i]
		if f := s.files[seg.File]; f != nil && seg.End > f.Planned {
			f.Planned, f.TailLen, f.TailSum, f.Partition = seg.End, seg.TailLen, seg.TailSum, key.Partition
			f.Moved = false
		}
	}
}

// ackPlan drops the plan and advances its files. It reports whether the plan was there.
func (s *state) ackPlan(key LaneKey, id uint64) bool {
	lane := s.lanes[key]
	if lane == nil {
		return false
	}
	i := slices.IndexFunc(lane.Plans, func(p batch.Plan) bool { return p.ID == id })
	if i < 0 {
		return false
	}
	for _, seg := range lane.Plans[i].Segments {
		if f := s.files[seg.File]; f != nil {
			f.Acked = max(f.Acked, seg.End)
		}
	}
	lane.Plans = slices.Delete(lane.Plans, i, i+1)
	return true
}
