// Package window decides which matches of a rule make an alert. It is the pure
// core of alerting: matches go in, raised alerts come out, and nothing here
// reads a clock, a disk or a network.
//
// A [State] belongs to one partition of the matches topic and to one goroutine.
// It is a function of the sequence of matches it was given and of the alerts that
// it was told of by [State.Know]; given the same sequence it raises the same
// alerts with the same ids.
//
// # Counting
//
// Events of one key are counted together. As soon as count events lie within less
// than the rule's window, in event time and in whatever order they came, an
// alert is raised. Its id is derived from the key and from the earliest of those
// events. The alert then covers a stretch of event time:
//
//	from  min(last - within, first - realert)   exclusive
//	to    max(first + within, last + realert)   exclusive
//
// Further events inside it belong to that alert: they raise none and are not
// counted for another. The stretch reaches backwards as well so that events that
// come late or out of order do not raise a second alert for the same moment. An
// event that is given again is known by its id (while it waits), by the stretch
// (once it was counted) or by the alert's id (a rule that alerts on every event).
//
// # Forgetting
//
// An event that no alert has covered waits for others for within + lateness,
// measured on the log's own clock: the largest append time that was seen in the
// partition. So lateness is the time by which an event may reach the log after
// others of its window; a wrong timestamp inside one event cannot make others
// late. [State.Position] is the oldest match that still waits, with the clock
// at that place: a new State that begins there, and knows the alerts, goes on
// exactly as this one would have done.
//
// # Bounds
//
// Waiting events and remembered alerts are bounded by [Limits]. The oldest are
// dropped first and counted.
package window
