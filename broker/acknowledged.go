package broker

import (
	"sync"

	"github.com/millrace/millrace/broker/storage"
)

// awaitAcknowledged returns when the high watermark of each log has passed what was
// written before the call. Under acks=1 a client is answered before its records are
// flushed; who then asks for the end of the log, or deletes up to it, counts them, as
// on a node of Apache Kafka that has no followers. A log that goes offline meanwhile
// is not waited for: its error is the caller's to find.
//
// All logs are waited for together, for one or two rounds of the group commit.
func awaitAcknowledged(logs ...*storage.Log) {
	var flushes sync.WaitGroup
	for _, log := range logs {
		flushes.Add(1)
		log.OnFlushed(log.LogEnd()-1, func(error) { flushes.Done() })
	}
	flushes.Wait()
}
