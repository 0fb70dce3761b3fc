package agent

import (
	"errors"
	"io"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
)

// read reads one block of t. Before, and again after the bytes are read, it is
// checked that the file still is what was read from it so far: bytes that were
// read while the file was truncated are never used.
func (c *collector) read(t *tracked, end batch.End) {
	if t.file == nil || t.in == nil || t.final && t.copied {
		return
	}
	size, err := t.check(&c.scratch, 0)
	if err != nil {
		c.failed(t, err)
		return
	}
	if size > t.size {
		t.size, t.grownAt = size, time.Now()
	}
	if size <= t.base || !c.prepare(t, size) {
		return
	}
	if t.cursor.Pos >= size {
		return
	}
	key, ok := c.laneOf(t)
	if !ok || !c.shipper.Room(key) || !c.hasBudget() {
		c.park(t)
		return
	}
	more, err := c.readBlock(t, key, size, end)
	if err != nil {
		c.failed(t, err)
		return
	}
	t.failing = false
	if more {
		c.enqueue(t)
	}
}

// prepare makes sure that t has an identity. It reports whether t may be read.
func (c *collector) prepare(t *tracked, size int64) bool {
	if !t.minted && len(t.head) == 0 && t.afterTruncation && !c.skipHole(t, size) {
		return false
	}
	grown, err := t.growHead(size)
	if err != nil {
		c.failed(t, err)
		return false
	}
	switch {
	case !t.minted:
		if !c.resolve(t) {
			return false
		}
		c.mint(t)
	case grown:
		c.reg.Update(t.entry.Number, func(f *registry.File) { f.HeadLen, f.HeadSum = int32(len(t.head)), t.head.Digest() })
	}
	return true
}

// skipHole moves the base of a new generation past the NUL bytes that stand where the file was truncated under a writer that
// does not append but goes on at its own offset. It reports whether there is anything else.
func (c *collector) skipHole(t *tracked, size int64) bool {
	at := files.DataStart(t.file, t.base)
	for at < size {
		n, err := t.file.ReadAt(c.scratch[:min(int64(len(c.scratch)), size-at)], at)
		for i := range n {
			if c.scratch[i] != 0 {
				t.base = at + int64(i)
				t.cursor = batch.Cursor{Pos: t.base}
				return true
			}
		}
		if n == 0 || err != nil {
			return false
		}
		at += int64(n)
	}
	return false
}

// mint journals the generation. What is synced with the first plan that
// names it is synced after it.
func (c *collector) mint(t *tracked) {
	t.entry = c.reg.Mint(registry.File{
		Path: t.path, Current: t.path, Topic: t.in.topic, Input: t.in.name,
		Device: t.id.Device, Inode: t.id.Inode, BirthNs: t.id.BirthNs,
		Base: t.base, HeadLen: int32(len(t.head)), HeadSum: t.head.Digest(),
		Planned: t.cursor.Pos, Acked: t.cursor.Pos, Partition: -1, MintedMs: time.Now().UnixMilli(),
	})
	t.minted = true
	c.numbers[t.entry.Number] = t
	t.source = batch.NewSource(t.entry.Number, t.entry.ID, t.entry.Path, t.in.settingsID, t.in.settings, t.in.framer)
}

// laneOf returns the lane of t's lines: the one that it has, or the one with
// the fewest files.
func (c *collector) laneOf(t *tracked) (registry.LaneKey, bool) {
	key := registry.LaneKey{Topic: t.in.topic, Partition: t.entry.Partition}
	n := c.shipper.Partitions(key.Topic)
	if n == 0 || int(key.Partition) >= n {
		c.shipper.Want(key.Topic)
		return key, false
	}
	if key.Partition >= 0 {
		return key, true
	}
	loads := c.loads[key.Topic]
	for len(loads) < n {
		loads = append(loads, 0)
	}
	best := int(t.entry.Number % uint64(n)) // files that come one after the other spread out
	for i := range n {
		if loads[i] < loads[best] {
			best = i
		}
	}
	loads[best]++
	c.loads[key.Topic] = loads
	t.entry.Partition, key.Partition = int32(best), int32(best)
	return key, true
}

// readBlock reads a block and puts its lines into the lane's batch.
func (c *collector) readBlock(t *tracked, key registry.LaneKey, size int64, end batch.End) (bool, error) {
	from, added, lines := t.cursor.Pos, 0, 0
	nowMs := time.Now().UnixMilli()
	var b *batch.Batch
	limit := int(c.cfg.BatchMax)
	emit := func(ev batch.Event) bool {
		if b == nil {
			b = c.batchFor(key)
		}
		if !b.Fits(t.source, len(ev.Value), limit) {
			if lines > 0 {
				b.SetTail(c.scanner.Tail(ev.Start))
			}
			c.seal(key, b)
			b = c.batchFor(key)
		}
		if t.broken {
			b.Break()
			t.broken = false
		}
		if ev.Flags&batch.FlagCut != 0 {
			c.metrics.linesCut.Inc()
		}
		before := b.Bytes()
		b.Add(t.source, ev, nowMs, t.moved, 0)
		t.moved = false
		added += b.Bytes() - before
		lines++
		return true
	}
	check := func(end int64) error {
		_, err := t.check(&c.scratch, end)
		return err
	}
	more, err := c.scanner.Scan(t.file, t.in.framer, &t.cursor, batch.Range{Size: size, End: end, Check: check}, emit)
	if lines > 0 {
		t.tail = append(t.tail[:0], c.scanner.Tail(t.cursor.Pos)...)
		b.SetTail(t.tail)
		if end != batch.EndOpen {
			t.broken = true
		}
		c.account(int64(added))
		c.metrics.linesRead.Add(float64(lines))
		c.metrics.bytesRead.Add(float64(t.cursor.Pos - from))
		if b.Bytes() >= limit*9/10 {
			c.seal(key, b)
		}
	}
	return more, err
}

// failed deals with an error of reading t.
func (c *collector) failed(t *tracked, err error) {
	if errors.Is(err, errTruncated) || errors.Is(err, io.ErrUnexpectedEOF) {
		c.truncated(t)
		return
	}
	if !t.failing {
		t.failing = true
		c.logger.Error("a file cannot be read: it is tried again at each rescan", "path", t.path, "file", t.name(), "error", err)
	}
}
