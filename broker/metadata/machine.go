package metadata

import (
	"fmt"
	"sync/atomic"

	"github.com/millrace/millrace/broker/raftgroup"
)

// machine is the state machine of the group: entries make images.
type machine struct {
	image atomic.Pointer[Image]
	// prepared is the image that the latest decision of this node expects.
	prepared atomic.Pointer[prepared]
}

// prepared is what a commit makes of an image, if nothing comes in between.
type prepared struct {
	term   uint64
	before *Image
	image  *Image
}

// Apply implements [raftgroup.StateMachine].
func (m *machine) Apply(entries []raftgroup.Entry) error {
	image := m.image.Load()
	if p := m.prepared.Load(); p != nil && len(entries) == 1 && p.before == image && p.term == entries[0].Term && p.image.Index == int64(entries[0].Index) {
		m.prepared.Store(nil)
		m.image.Store(p.image)
		return nil
	}
	next := image.clone()
	for _, e := range entries {
		records, err := decodeRecords(e.Data)
		if err == nil {
			err = next.advance(int64(e.Index), records)
		}
		if err != nil {
			return &raftgroup.EntryError{Index: e.Index, Err: err}
		}
	}
	next.seal()
	m.image.Store(next)
	return nil
}

// Snapshot implements [raftgroup.StateMachine].
func (m *machine) Snapshot() ([]byte, error) {
	return encodeRecords([]Record{m.image.Load().snapshot()})
}

// Restore implements [raftgroup.StateMachine].
func (m *machine) Restore(_ uint64, data []byte) error {
	image := newImage()
	if len(data) > 0 {
		records, err := decodeRecords(data)
		if err != nil {
			return err
		}
		snapshot, ok := records[0], len(records) == 1
		if !ok {
			return fmt.Errorf("%w: a snapshot of %d records", errRecord, len(records))
		}
		r, ok := snapshot.(*snapshotRecord)
		if !ok {
			return fmt.Errorf("%w: a snapshot of the type %s", errRecord, snapshot.recordType())
		}
		if err := image.advance(r.Index, records); err != nil {
			return err
		}
	}
	image.seal()
	m.image.Store(image)
	return nil
}
