package transactions

const (
	// markerBackoffMinMs and markerBackoffMaxMs are the least and the longest
	// time before markers that failed are written again.
	markerBackoffMinMs, markerBackoffMaxMs = 50, 5_000
	// partitionsNamedMax is how many partitions a log line names.
	partitionsNamedMax = 5
)
