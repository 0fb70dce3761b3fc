// Package alerting evaluates the alert rules of pipelines and raises alerts,
// each exactly once, whatever is killed and whenever.
//
// It has three stages, each a Kafka consumer group, so that any number of
// processes share the work:
//
//	pipeline topics ─► match ─► millrace.alert-matches ─► window ─► millrace.alerts ─► notify, one group for each notifier
//	                                                                       └────────► index
//
// Match (group millrace-alerting-<pipeline>-match) runs a pipeline's processors
// over its records and writes one [Match] for each event that a rule's condition
// accepts, keyed by pipeline, rule and group. Source offsets are committed after the
// cluster has all matches before them (acks=all); a crash in between repeats
// matches, which carry the event's id and are known by it in the next stage.
//
// Window (group millrace-alerting-windows) counts, with one owner for each
// partition of the matches; see package window for when an alert is raised. At
// the start of a session it reads millrace.alerts to the end, and the matches
// from the committed offset, which is that of the oldest match that a window
// still needs; the clock of that place is in the commit's metadata. So an owner
// that was killed at any point is continued exactly. A failed write of an
// alert, whose outcome is unknown, ends the session, and the next one looks
// into the topic.
//
// Notify (groups millrace-alerting-notify-<notifier>) sends each alert to the
// notifiers that its rule names. Each notifier is a group of its own, so its
// progress is its own: one that fails holds back nobody else, and the topic is its
// queue. Deliveries that succeeded are recorded in millrace.alert-deliveries.
// Index (group millrace-alerting-index) writes each alert into Elasticsearch under
// its id.
//
// Failure model: an alert's id follows from its rule, its group and its first
// event. Every stage after the first knows repetitions by it. What a process that
// was declared dead still writes (a session that timed out while the process
// was stopped) carries the same ids, and is dropped by the notifiers' groups and by
// Elasticsearch. Webhooks are called at least once, with the id in the header
// Idempotency-Key.
//
// Matches carry the definition of their rule, and alerts the names of their
// notifiers, so processes with different configurations may share the groups.
//
// State belongs to the goroutine of its partition; nothing in this package is
// shared between partitions but the producers and the files of notifiers.
package alerting
