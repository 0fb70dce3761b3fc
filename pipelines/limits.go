package pipelines

import "time"

const (
	// bulksMax is the number of bulk requests of a pipeline, being filled or
	// under way.
	bulksMax = 4
	// writersMax is the number of bulk requests of a pipeline under way at once.
	writersMax = 3
	// drainTimeout is how long a partition that is given up waits for its
	// documents to be acknowledged.
	drainTimeout = 5 * time.Second
	// commitInterval is the time between two commits of offsets.
	commitInterval = time.Second
	// sessionTimeout is how long the partitions of a killed process wait for
	// another owner: the shortest that brokers accept by default.
	sessionTimeout = 6 * time.Second
	// topicsQuick and topicsSlow are the times between two looks for new
	// topics: quick for topicsQuickFor after a start or a change.
	topicsQuick    = time.Second
	topicsSlow     = 5 * time.Second
	topicsQuickFor = time.Minute
	// retryFirst and retryLast are the waits between two tries to reach the
	// cluster.
	retryFirst = 200 * time.Millisecond
	retryLast  = 10 * time.Second
	// lagInterval is the time between two looks at the lag.
	lagInterval = 5 * time.Second
)
