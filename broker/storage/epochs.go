package storage

import (
	"slices"
	"sort"
	"sync/atomic"
)

// leaderEpochs knows at which offset each leader epoch began (KIP-101). It is
// written to leader-epoch-checkpoint before the recovery point passes an entry,
// and what is missing there is found again in the batches. Changes are made
// under the log's lock; readers see an immutable list.
//
// Invariant: epochs and start offsets grow strictly.
type leaderEpochs struct {
	entries atomic.Pointer[[]epochEntry]
	// dirty is set when entries differ from the file.
	dirty atomic.Bool
}

func (c *leaderEpochs) list() []epochEntry {
	if p := c.entries.Load(); p != nil {
		return *p
	}
	return nil
}

func (c *leaderEpochs) set(entries []epochEntry) {
	c.entries.Store(&entries)
	c.dirty.Store(true)
}

// assign notes that a batch of epoch begins at offset.
func (c *leaderEpochs) assign(epoch int32, offset int64) {
	list := c.list()
	n := len(list)
	if epoch < 0 || n > 0 && epoch <= list[n-1].epoch {
		return
	}
	// An epoch without records gives way to its successor.
	for n > 0 && list[n-1].start >= offset {
		n--
	}
	c.set(append(slices.Clone(list[:n]), epochEntry{epoch, offset}))
}

// truncateEnd drops the epochs that began at or after end (KAFKA-10706: also
// when nothing of the log is cut).
func (c *leaderEpochs) truncateEnd(end int64) {
	list := c.list()
	n := sort.Search(len(list), func(i int) bool { return list[i].start >= end })
	if n < len(list) {
		c.set(slices.Clone(list[:n]))
	}
}

// truncateStart drops the epochs that ended at or before start; the one that
// holds start then begins there.
func (c *leaderEpochs) truncateStart(start int64) {
	list := c.list()
	n := sort.Search(len(list), func(i int) bool { return list[i].start > start })
	if n == 0 || n == 1 && list[0].start == start {
		return
	}
	kept := slices.Clone(list[n-1:])
	kept[0].start = start
	c.set(kept)
}

// at returns the epoch of the record at offset, -1 when unknown.
func (c *leaderEpochs) at(offset int64) int32 {
	list := c.list()
	i := sort.Search(len(list), func(i int) bool { return list[i].start > offset })
	if i == 0 {
		return -1
	}
	return list[i-1].epoch
}

func (c *leaderEpochs) latest() int32 {
	list := c.list()
	if len(list) == 0 {
		return -1
	}
	return list[len(list)-1].epoch
}

// endOffset returns the largest epoch that is at most epoch, and where it
// ended (KIP-279). -1, -1 stands for an epoch newer than all, as in Kafka.
func (c *leaderEpochs) endOffset(epoch int32, logEnd int64) (int32, int64) {
	list := c.list()
	if n := len(list); n > 0 && list[n-1].epoch == epoch {
		return epoch, logEnd
	}
	i := sort.Search(len(list), func(i int) bool { return list[i].epoch > epoch })
	switch {
	case epoch < 0 || i == len(list):
		return -1, -1
	case i == 0:
		return epoch, list[0].start
	}
	return list[i-1].epoch, list[i].start
}
