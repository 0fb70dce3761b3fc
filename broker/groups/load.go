package groups

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
)

// Reset implements [coordinator.Machine].
func (sh *shard) Reset() {
	c := sh.coordinator
	sh.state = core.New(c.cfg, newRandom(), c.options.Image)
}

func newRandom() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// Loaded begins the sessions of the members, and deletes the offsets of topics
// that were deleted meanwhile.
func (sh *shard) Loaded() {
	sh.state.Loaded(sh.nowMs())
	if topics := sh.coordinator.options.Topics; topics != nil {
		sh.emit(sh.state.DeleteTopics(sh.nowMs(), func(name string, id [16]byte) bool {
			t, ok := topics(name)
			return !ok || (id != [16]byte{} && id != t.ID)
		}))
	}
}

// Replay applies one record of the log.
func (sh *shard) Replay(b *batch.Batch, r batch.Record) error {
	switch {
	case b.IsControl():
		if len(r.Key) < 4 {
			return fmt.Errorf("a transaction marker has a key of %d bytes: it takes 4", len(r.Key))
		}
		// ControlRecordType: version, then type, 0 abort, 1 commit.
		if kind := binary.BigEndian.Uint16(r.Key[2:]); kind <= 1 {
			sh.state.ReplayMarker(b.ProducerID, kind == 1)
		}
		return nil
	case b.IsTransactional():
		return sh.state.ReplayTransactional(b.ProducerID, r.Key, r.Value)
	}
	return sh.state.Replay(r.Key, r.Value)
}
