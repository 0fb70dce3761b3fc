// Package agent reads files on this host and ships their lines exactly once
// into Kafka topics.
//
// # Parts
//
// agent/files finds files and tells them apart, agent/batch makes record batches that can be made again, agent/registry
// is the durable memory, agent/ship sends with producer ids and sequences that outlive the process. This package decides:
// which bytes belong to which generation of a file, what is read next, and when a file is done.
//
// # Generations
//
// A generation is the content of a file between its creation, or a truncation, and the next. It has an id
// for ever; where its bytes are may change: the path (rename), or the inode (copytruncate: after the truncation they are in
// the copy). See truncate.go and discover.go.
//
// # Concurrency
//
// One goroutine (collector) owns all files and all open batches. The lanes of agent/ship run beside it; they
// answer through atomics and one signal channel. Nothing is sent per line.
//
// # Failure
//
// After SIGKILL or power loss at any moment the next process finds, in the registry, each batch that may have been sent,
// makes it again from the files and sends it under the same sequence; the cluster drops what it has. An error of the registry's
// disk stops shipping until it works again. An error of a file is logged and
// the file is tried again at the next rescan.
package agent
