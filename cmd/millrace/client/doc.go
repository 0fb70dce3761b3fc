// Package client is the part of the millrace command that talks to a running
// cluster: topics, records, consumer groups, searches and alerts. [Commands]
// returns the cobra commands, the binary hangs them under its root command.
//
// Every command works against Millrace's own broker and search node and, by
// address alone, against Apache Kafka and Elasticsearch. Where to reach them comes
// from, in this order: the flags --brokers and --elasticsearch, the file of
// --config, the built-in defaults 127.0.0.1:9092 and http://127.0.0.1:9200.
//
// What is asked for goes to standard output: a table, or JSON with -o json.
// Errors are one line on standard error that says what to do. [ExitCode] maps
// an error to the process's exit code: 0 done, 1 failed, 2 wrong usage or
// configuration. A command keeps no state after it returns and ends early,
// without an error, when its context ends.
package client
