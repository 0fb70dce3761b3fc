package broker

import (
	"log/slog"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// refusals tells an operator whose records a log did not take because of what they
// are: a gap in a producer's sequence numbers is a loss that no retry mends.
type refusals struct {
	log       *slog.Logger
	throttled *wire.ThrottledLog
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, throttled: wire.NewThrottledLog(log)}
}

// refused writes at most one line for each partition within 10 s.
func (f *refusals) refused(r *wire.Request, id storage.TopicPartition, err error) {
	omitted, ok := f.throttled.Admit(id.String())
	if !ok {
		return
	}
	f.log.Warn("records refused", "topic", id.Topic, "partition", id.Partition, "principal", r.Principal(), "host", r.ClientHost(),
		"client_id", r.ClientID, "error", err, "omitted", omitted)
}
