package groups

import "time"

// recordKind names the records of the log in errors.
const recordKind = "group"

const (
	// requestsQueuedMax bounds the requests that wait for one shard.
	requestsQueuedMax = 20_000
	// reloadBackoff is the time after which a shard that failed is loaded again.
	reloadBackoff = 2 * time.Second
	// countsInterval is the least time between two counts of the groups for the metrics.
	countsIntervalMs = 5_000
)
