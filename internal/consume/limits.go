package consume

import "time"

const (
	// pollIntervalDefault is the time between two looks for new source topics.
	pollIntervalDefault = 2 * time.Second
	// commitInterval is the time between two commits of a group.
	commitInterval = time.Second
	// sessionTimeout and heartbeatInterval are those of the groups: short,
	// because a killed process's partitions wait for it, and the shortest that
	// Kafka allows by default.
	sessionTimeout    = 6 * time.Second
	heartbeatInterval = 2 * time.Second
	// backoffMin and backoffMax bound the wait between two tries of anything.
	backoffMin = 250 * time.Millisecond
	backoffMax = 10 * time.Second
	// graceTimeout is how long a call that is under way may go on after the end.
	graceTimeout = 3 * time.Second
)
