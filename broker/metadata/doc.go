// Package metadata holds what a cluster knows about itself: its id, its brokers,
// the topics with their ids, partitions and configs, and the producer ids that
// have been given out.
//
// # How it works
//
// The truth is the log of a Raft group ([raftgroup.Group] over [raftlog.Log]); its entries are commits, each of
// some records. [Store.Update] lets a decision look at the latest [Image] and return records;
// they are proposed as one entry, and when it is durable, committed and applied to make a new image, that
// image is published. Images are immutable and are read without locks by [Store.Image].
//
// Decisions are made on the leader, one at a time, by an image that has every commit there is;
// elsewhere they get [ErrNotLeader]. A group begins with one voter, this node, which leads
// from Open on and needs nobody else: an Update is one write and one fdatasync. Other voters
// are added by changes of members, with a [raftgroup.Transport] and ticks.
//
// # On disk
//
// The files of broker/raftlog; a snapshot is the image. A directory of format 1, from before the
// metadata was a Raft group, is taken over when it is opened (takeover.go).
//
// # Failure model
//
// What Update has returned nil for survives the loss of power. A torn commit at
// the end of the log is cut when the store opens; damage before intact commits is never cut
// but refuses the start with a [*CorruptionError]. On a full disk a commit is refused
// and the store goes on ([ErrNoSpace]). After a failed write or sync the
// store refuses every further update, because what the disk holds is unknown
// until it is read again ([ErrFailed]).
//
// Update is safe for concurrent use and serialises decisions.
package metadata
