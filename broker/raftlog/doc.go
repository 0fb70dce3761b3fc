// Package raftlog is the durable log of one Raft group: its entries, what the
// node has promised in elections, and a snapshot of the state before the first entry.
//
// A [Log] is the [raft.Storage] of go.etcd.io/raft, and Save, Install and
// Compact are how a driver keeps it up to date. It knows nothing of what entries mean.
//
// # On disk
//
// A directory with two files, raft-<index>.snapshot and raft-<index>.log: the
// state up to and including the entry of that index, and the entries after it
// (format.go). A log is made of frames; each is one call of Save: the hard state (term, vote,
// commit) and new entries under one CRC. An entry takes the place of an older one of the
// same index and of all behind it.
//
// Frames are written and made durable one at a time. So what is torn is the
// last frame: it is cut when the log is opened. Damage with an intact frame behind it is
// never cut, it is a [*CorruptionError] with file and position.
//
// A snapshot takes the place of entries in two steps, each durable before the next: the
// new log, which begins with the hard state and the entries that remain, then the
// snapshot, by rename. The newest snapshot says which log is the true one.
//
// # Failure model
//
// What Save, Install and Compact have returned nil for survives the loss of power: votes
// and entries are on disk before the driver acts upon them (Raft, section 3.8). The commit index
// alone is not made durable, it comes along with the next frame.
//
// For want of space nothing changes, in memory or on disk, and the log goes on: [ErrNoSpace]. After
// any other failed write or sync nobody knows what the disk holds, and the log takes nothing
// more until it is opened again: [ErrFailed].
//
// A Log is for one goroutine at a time.
package raftlog
