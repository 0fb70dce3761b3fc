package transactions

import "time"

// recordKind names the records of the log in errors.
const recordKind = "transaction"

const (
	// requestsQueuedMax bounds the requests that wait for one shard.
	requestsQueuedMax = 20_000
	// reloadBackoff is the time after which a shard that failed is loaded again.
	reloadBackoff = 2 * time.Second
	// markerBackoffMinMs and markerBackoffMaxMs are the least and the longest
	// time before markers that failed are written again.
	markerBackoffMinMs, markerBackoffMaxMs = 50, 5_000
	// partitionsNamedMax is how many partitions a log line names.
	partitionsNamedMax = 5
	// countsIntervalMs is the least time between two counts for the metrics.
	countsIntervalMs = 5_000
)
