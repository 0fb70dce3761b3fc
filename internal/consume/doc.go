// Package consume runs a member of a Kafka consumer group that never gives up:
// it waits for the cluster and for topics to appear, joins, works, and joins again
// when the topics or their partitions change or when its work fails. Alerting
// and mirror work by it.
//
// A [Member] owns its client and its goroutines, which end before Run returns.
// Offsets are committed once a second, and only those that the work has marked; so
// whatever ends a session, what was not marked is read again.
package consume
