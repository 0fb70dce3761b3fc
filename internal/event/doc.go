// Package event is the model of a log event on its way from a Kafka record to
// a document or an alert: its fields, the processors that transform them, the
// conditions that test them, and the index that it belongs to. Pipelines and
// alerting share it, so that a rule sees exactly what is indexed.
//
// An [Event] holds its fields flat, under dotted ECS names
// ("http.response.status_code"); [Event.AppendJSON] writes them nested, as
// Elasticsearch documents are. The timestamp is not a field but a value of its
// own; under its name "@timestamp" it can be read and written like one.
//
//	ev := event.FromMessage(msg, time.Now())
//	if drop := chain.Process(ev); drop { ... }
//	if cond.Match(ev) { ... }
//	doc = ev.AppendJSON(doc[:0])
//
// A [Chain] is compiled once from a pipeline's processors and is then
// immutable and safe for concurrent use. A single Event belongs to one
// goroutine.
//
// Failure model: nothing in a line can make this package fail or panic. A
// processor that cannot do its work on an event leaves the event as it was,
// adds the tag parse_failure and says why in error.message; the next
// processors run all the same. Everything that a user can get wrong in a
// configuration is an error of [Compile] or [CompileCondition], with line and
// column, and never one at run time. The cost of a condition or a processor is
// bounded by the size of its text times the size of the event.
//
// The package reads no clock: where time matters (a missing year, the choice
// of an index) it is the record's own timestamp.
package event
