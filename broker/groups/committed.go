package groups

import (
	"context"

	"github.com/millrace/millrace/broker/groups/core"
)

// Committed is an offset that a group has committed.
type Committed = core.Committed

// CommittedOffsets returns at most limit committed offsets of the shards that are
// loaded, in the order of partitions, groups, topics and partitions of topics,
// and whether there are more. A shard that has not answered when ctx ends
// is left out.
func (c *Coordinator) CommittedOffsets(ctx context.Context, limit int) (all []Committed, more bool) {
	type part struct {
		offsets []Committed
		more    bool
	}
	for _, sh := range c.shards.All() {
		answer := make(chan part, 1) // the shard does not wait for who has gone
		left := limit - len(all)
		if _, ok := sh.Submit(op{inspect: func(s *core.Shard) {
			offsets, more := s.CommittedOffsets(left)
			answer <- part{offsets, more}
		}}); !ok {
			continue
		}
		select {
		case p := <-answer:
			all, more = append(all, p.offsets...), more || p.more
		case <-sh.Ended():
		case <-ctx.Done():
			return all, true
		}
	}
	return all, more
}
