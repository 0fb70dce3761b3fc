// Package registry is the agent's memory: which files it knows, how far they
// are acknowledged, and which record batches are on their way.
//
// # Files
//
// The state lives in one file, journal-<n>.mj: a header, a snapshot, then every change
// since, each entry with length and CRC-32C. When the changes outgrow
// the snapshot, journal-<n+1>.mj is written under a temporary name, synced, renamed, the
// directory synced, and the old file removed. A crash leaves a torn tail (cut at the next [Open]) or a
// temporary file (removed at the next Open); it never leaves less than was synced.
//
// # Durability
//
// A change is in memory at once and in the file's order. It is on disk when [Registry.Sync] returned for its position.
// Syncs are grouped: one fdatasync covers all changes appended before it began. What is appended
// earlier is never lost while something later survives; the agent relies on it: the acknowledgement of a batch needs
// no sync of its own, because the plan of the batch that takes its place among the five of its lane follows it in the file.
//
// # After a failed write
//
// A file that could not be written or synced is not trusted again: the whole
// state is written to the next journal file, until that works.
//
// # Ownership
//
// The registry owns the state. All methods are safe for concurrent use; what
// they return are copies.
package registry
