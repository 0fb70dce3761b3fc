package agent

import (
	"path/filepath"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
)

// house looks at files that nothing has happened to: what is decided by time
// is decided here.
func (c *collector) house(now time.Time) {
	for t := range c.all {
		switch {
		case t.in == nil:
			c.houseGone(t, now)
		case !t.orphaned.IsZero():
			c.houseOrphan(t, now)
		case t.file == nil:
			c.houseGone(t, now)
		case t.queued || t.parked:
		case !t.minted:
			if t.size > t.base || t.links == 0 {
				c.enqueue(t)
			}
			c.houseUnread(t)
		default:
			c.houseOpen(t, now)
		}
	}
}

// houseUnread drops a file that was deleted before it had a byte.
func (c *collector) houseUnread(t *tracked) {
	info, err := files.StatFile(t.file)
	if err != nil {
		c.failed(t, err)
		return
	}
	t.links = info.Links
	if info.Links == 0 && info.Size <= t.base && files.HasWriters(t.file) != files.WritersSome {
		c.remove(t)
	} else if info.Size > t.size {
		c.enqueue(t)
	}
}

func (c *collector) houseOrphan(t *tracked, now time.Time) {
	if !t.final && !c.seekCopy(t) && now.Sub(t.orphaned) > c.a.o.CopyHold {
		c.giveUp(t)
	}
	if t.final {
		c.forget(t)
	}
}

// houseOpen decides whether an unfinished event is to be ended, and whether the file is done.
func (c *collector) houseOpen(t *tracked, now time.Time) {
	if now.Before(t.nextPoll) {
		return
	}
	if t.atEnd() && t.links > 0 && !t.away && !t.copied {
		t.nextPoll = now.Add(pollInterval) // the watcher is quicker, where it works
	}
	info, err := files.StatFile(t.file)
	if err != nil {
		c.failed(t, err)
		return
	}
	t.links = info.Links
	if info.Size != t.size {
		c.enqueue(t)
		return
	}
	quiet := now.Sub(t.grownAt)
	if !t.atEnd() && t.in.framer.Multiline() && quiet >= t.in.flushAfter && t.flushedAt != t.cursor.Pos {
		t.flushedAt = t.cursor.Pos
		c.read(t, batch.EndFlush)
		return
	}
	gone := t.links == 0 || t.away || t.copied
	inactive := c.cfg.CloseInactive.D()
	switch {
	case gone && quiet >= quietClosed:
		switch files.HasWriters(t.file) {
		case files.WritersNone:
		case files.WritersUnknown:
			if quiet < quietUnknown {
				return
			}
		case files.WritersSome:
			if quiet < inactive {
				return
			}
		}
		c.finish(t)
	case gone:
	case quiet >= inactive:
		if t.atEnd() || files.HasWriters(t.file) != files.WritersSome {
			c.finish(t)
		} else {
			c.shut(t)
		}
	case !t.atEnd() && quiet >= partialAfter && files.HasWriters(t.file) == files.WritersNone:
		c.read(t, batch.EndFinal)
	}
}

// finish ships what is left of t, as it is, and closes the file.
func (c *collector) finish(t *tracked) {
	for range 2 {
		if t.atEnd() {
			break
		}
		c.read(t, batch.EndFinal)
	}
	if !t.atEnd() || t.file == nil || !t.orphaned.IsZero() {
		return // no room now, or it has changed: the next look decides
	}
	if t.links == 0 {
		t.deleted = true
	}
	t.final = true
	c.shut(t)
}

// houseGone forgets files that are closed and will not come back.
func (c *collector) houseGone(t *tracked, now time.Time) {
	if t.deleted {
		c.forget(t)
		return
	}
	if t.missing.IsZero() || now.Sub(t.missing) < max(c.a.o.CopyHold, 2*c.cfg.RescanInterval.D()) {
		return
	}
	info, err := files.StatPath(filepath.Dir(t.path))
	if sameDevice := err == nil && info.Device == t.id.Device; !sameDevice && now.Sub(t.missing) < forgetAfter {
		return // its file system may be mounted again
	}
	if t.in != nil && !t.atEnd() {
		c.giveUp(t)
	}
	c.forget(t)
}

// forget drops t once all its lines are acknowledged.
func (c *collector) forget(t *tracked) {
	if t.minted {
		f, ok := c.reg.File(t.entry.Number)
		if ok && f.Acked < f.Planned || ok && t.cursor.Pos > f.Planned && t.in != nil {
			return
		}
		c.reg.Forget(t.entry.Number)
	}
	c.remove(t)
}

// vanished is called when t's inode was handed out to another file.
func (c *collector) vanished(t *tracked) {
	if !t.minted {
		c.remove(t)
		return
	}
	c.shut(t)
	if t.in != nil && !t.final {
		c.orphan(t)
		return
	}
	if c.byInode[t.id.Key()] == t {
		delete(c.byInode, t.id.Key())
	}
	t.deleted = true
}
