package consume

import (
	"context"

	"github.com/IBM/sarama"
)

// Claim is one partition during one session.
type Claim struct {
	sarama.ConsumerGroupClaim
	session sarama.ConsumerGroupSession
	lag     func(records int64)
}

// Mark says that everything before offset is done. It is committed, with the
// metadata, within a second and at the end of the session. An offset that is not
// beyond the last one is ignored.
func (c Claim) Mark(offset int64, metadata string) {
	c.session.MarkOffset(c.Topic(), c.Partition(), offset, metadata)
}

// NextBatch waits for a message and returns it with those that are there
// already, at most limit; nil when the claim has ended.
func (c Claim) NextBatch(ctx context.Context, limit int) []*sarama.ConsumerMessage {
	var batch []*sarama.ConsumerMessage
	select {
	case <-ctx.Done():
		return nil
	case m, ok := <-c.Messages():
		if !ok {
			return nil
		}
		batch = append(batch, m)
	}
	for len(batch) < limit {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				return batch
			}
			batch = append(batch, m)
			continue
		default:
		}
		break
	}
	c.lag(max(0, c.HighWaterMarkOffset()-batch[len(batch)-1].Offset-1))
	return batch
}
