// Package server composes the rooms of Millrace into one process: it makes the
// parts that a command asks for, tells each where its neighbours are, runs them,
// and ends them in order. It holds no logic of its own.
//
// Order of the end: the agent stops reading and delivers what it has read; then
// pipelines and alerting write out and commit what they hold; then the console;
// then the broker and the search node flush and close. The whole takes at
// most ten seconds; what is not done by then is safe all the same, because no
// part acknowledges what is not on disk.
package server
