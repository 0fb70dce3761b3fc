package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// Base is where a log begins: behind the entry that a snapshot ends with.
type Base struct {
	Index, Term uint64
	// Members of the group as of Index; it must not be changed. A node that waits
	// for a leader to add it begins at index 0 without any.
	Members *raftpb.ConfState
}

var errSnapshotFrame = errors.New("the snapshot's checksum or length does not fit")

func encodeSnapshot(base Base, data []byte) ([]byte, error) {
	members, err := proto.Marshal(base.Members)
	if err != nil {
		return nil, fmt.Errorf("encode members: %w", err)
	}
	b := newFrame(snapshotMagic, snapshotMinBytes+len(members)+len(data))
	b = binary.BigEndian.AppendUint64(b, base.Index)
	b = binary.BigEndian.AppendUint64(b, base.Term)
	b = binary.BigEndian.AppendUint32(b, uint32(len(members)))
	b = append(b, members...)
	return sealFrame(append(b, data...))
}

// decodeSnapshot reads what encodeSnapshot writes. data is part of content.
func decodeSnapshot(content []byte) (base Base, data []byte, err error) {
	b, n := openFrame(snapshotMagic, content)
	if n == 0 || n != len(content) || len(b) < snapshotMinBytes {
		return Base{}, nil, errSnapshotFrame
	}
	base = Base{Index: binary.BigEndian.Uint64(b), Term: binary.BigEndian.Uint64(b[8:]), Members: new(raftpb.ConfState)}
	size := int64(binary.BigEndian.Uint32(b[16:]))
	if b = b[snapshotMinBytes:]; size > int64(len(b)) {
		return Base{}, nil, errPayload
	}
	if err := proto.Unmarshal(b[:size], base.Members); err != nil {
		return Base{}, nil, fmt.Errorf("members: %w", err)
	}
	return base, b[size:], checkMembers(base.Members)
}

// checkMembers refuses what Raft would panic on.
func checkMembers(members *raftpb.ConfState) error {
	t := tracker.MakeProgressTracker(1, 0)
	config, progress, err := confchange.Restore(confchange.Changer{Tracker: t}, members)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	t.Config, t.Progress = config, progress
	if err := members.Equivalent(t.ConfState()); err != nil {
		return fmt.Errorf("members: %w", err)
	}
	return nil
}
