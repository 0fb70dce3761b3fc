package transactions

import (
	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/transactions/core"
)

// Reset implements [coordinator.Machine].
func (sh *shard) Reset() { sh.state = core.New(sh.coordinator.cfg) }

// Replay applies a record; markers are of no meaning here.
func (sh *shard) Replay(b *batch.Batch, r batch.Record) error {
	if b.IsControl() {
		return nil
	}
	return sh.state.Replay(r.Key, r.Value)
}

// Loaded writes the markers again of what was decided and not completed.
func (sh *shard) Loaded() {
	out := sh.state.Loaded(sh.nowMs())
	if len(out.Endings) > 0 {
		sh.Logger.Info("transactions were decided and are completed now", "transactions", len(out.Endings))
	}
	sh.emit(out)
}
