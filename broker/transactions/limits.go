package transactions

import "time"

const (
	// requestsQueuedMax bounds the requests that wait for one shard.
	requestsQueuedMax = 20_000
	// recordOverheadMax is more than a record takes beside key and value.
	recordOverheadMax = 32
	// appendBytesMax is the size of a batch of records where there are many.
	appendBytesMax = 512 << 10
	// loadBytes is how much of the log is read at once while loading.
	loadBytes = 4 << 20
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
