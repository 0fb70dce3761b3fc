package agent

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
)

// Copytruncate. A rotation copies x.log to x.log.1 and truncates x.log. The
// generation that was read from x.log goes on in the copy: what was not read from the original is read from
// there, from the same offset, under the same id. What was written between the last copied byte and the truncation is
// nowhere any more unless it was read before.
//
// The copy may be seen before the truncation. A new file whose first bytes are those of a known generation is
// therefore held back: it is taken for the copy when the truncation comes, for a file of its own when its bytes turn out to
// be different, or when neither has happened for a while (CopyHold) in which it did not grow.

// truncated is called when the open file of t has other content than what was
// read from it.
func (c *collector) truncated(t *tracked) {
	c.metrics.truncations.Inc()
	if !t.minted {
		t.head, t.size, t.base, t.cursor, t.afterTruncation = nil, 0, 0, batch.Cursor{}, true
		t.grownAt = time.Now()
		c.enqueue(t)
		return
	}
	c.logger.Info("a file was truncated: it is read from its beginning under a new id", "path", t.path, "file", t.entry.ID, "offset", t.cursor.Pos)
	next := &tracked{
		in: t.in, path: t.path, id: t.id, file: t.file, sibling: t.sibling, afterTruncation: true,
		foundAt: time.Now(), grownAt: time.Now(), links: t.links,
	}
	t.file = nil
	c.add(next)
	c.enqueue(next)
	c.orphan(t)
}

// orphan takes t's inode away and looks for the copy that has its bytes.
func (c *collector) orphan(t *tracked) {
	if c.byInode[t.id.Key()] == t {
		delete(c.byInode, t.id.Key())
	}
	if c.byPath[t.path] == t {
		delete(c.byPath, t.path)
	}
	t.id = files.Identity{}
	t.orphaned = time.Now()
	c.reg.Update(t.entry.Number, func(f *registry.File) { f.Device, f.Inode, f.BirthNs = 0, 0, 0 })
	c.seekCopy(t)
}

// seekCopy looks for a file that begins with the bytes of t.
func (c *collector) seekCopy(t *tracked) bool {
	if t.entry.HeadLen == 0 && len(t.head) == 0 {
		return false
	}
	var best files.Found
	found := false
	for _, dir := range []string{filepath.Dir(t.entry.Path), filepath.Dir(t.path)} {
		folder, err := files.ReadFolder(dir)
		if err != nil {
			continue
		}
		files.SortByBirth(folder.Files)
		for _, f := range folder.Files {
			if c.couldHold(t, f) {
				best, found = f, true // the youngest wins
			}
		}
		if found {
			break
		}
	}
	return found && c.adopt(t, best)
}

// couldHold reports whether f is unclaimed and has the bytes of t.
func (c *collector) couldHold(t *tracked, f files.Found) bool {
	if have := c.byInode[f.Key()]; f.Path == t.entry.Path || have != nil && (have == t || have.minted) {
		return false
	}
	name := filepath.Base(f.Path)
	related := files.Related(filepath.Base(t.entry.Path), name) || files.Related(filepath.Base(t.path), name)
	if !related && (c.inputOf(f.Path) == nil || t.headLen() < files.HeadMax) {
		return false
	}
	file, _, ok := c.openFile(f.Path)
	if !ok {
		return false
	}
	defer c.closeFile(file)
	head, err := files.ReadHead(file, t.base, files.HeadMax)
	if err != nil || !t.headMatches(head) {
		return false
	}
	return f.Size < t.cursor.Pos || t.tailMatches(file)
}

// adopt makes the copy the place of t's bytes.
func (c *collector) adopt(t *tracked, f files.Found) bool {
	file, info, ok := c.openFile(f.Path)
	if !ok {
		return false
	}
	if have := c.byInode[info.Key()]; have != nil {
		c.remove(have)
	}
	if len(t.head) == 0 {
		head, err := files.ReadHead(file, t.base, int(t.entry.HeadLen))
		if err != nil {
			c.closeFile(file)
			return false
		}
		t.head = head
	}
	t.file, t.id, t.path, t.links = file, info.Identity, f.Path, info.Links
	t.copied, t.away, t.orphaned, t.missing = true, true, time.Time{}, time.Time{}
	t.size, t.grownAt, t.cursor.Scanned = info.Size, time.Now(), 0
	c.add(t)
	c.reg.Update(t.entry.Number, func(e *registry.File) {
		e.Device, e.Inode, e.BirthNs, e.Current, e.Copy = info.Device, info.Inode, info.BirthNs, f.Path, true
	})
	if info.Size <= t.cursor.Pos {
		t.final = true // all of it was read from the original
		c.shut(t)
		return true
	}
	c.logger.Info("the rest of a truncated file is read from its copy", "path", f.Path, "file", t.entry.ID, "offset", t.cursor.Pos, "bytes", info.Size-t.cursor.Pos)
	c.enqueue(t)
	return true
}

// giveUp is called when no copy of an orphan has turned up.
func (c *collector) giveUp(t *tracked) {
	if lost := t.size - t.cursor.Pos; lost > 0 {
		c.metrics.bytesLost.Add(float64(lost))
		c.logger.Error("bytes are lost: they were truncated or deleted before they were read, and no copy of them was found",
			"path", t.entry.Path, "file", t.entry.ID, "from", t.cursor.Pos, "to", t.size)
		t.size = t.cursor.Pos
	}
	t.final = true
}

// resolve decides what a file is that nothing was read from. It reports
// whether t is a new generation.
func (c *collector) resolve(t *tracked) bool {
	original := c.originalOf(t)
	if original == nil {
		return true
	}
	if own, decided := c.differs(t, original); decided {
		return own
	}
	if !original.orphaned.IsZero() {
		if len(t.head) < original.headLen() {
			return c.holdOver(t)
		}
		found := files.Found{Path: t.path}
		found.Identity, found.Size = t.id, t.size
		if c.couldHold(original, found) && c.adopt(original, found) {
			return false
		}
	}
	return c.holdOver(t)
}

// differs compares t with the file that it seems to be a copy of, while that file is where it always was. Same first
// bytes do not make a copy: generations may begin alike, and a file may have been truncated and have grown again while nobody
// looked. decided is false as long as all of t stands in the original too.
//
// Where they differ behind the position of the original, t is taken for its continuation and the original for a new
// generation; what was read so far is the same in both, so each line is read once, whatever the truth is. Where
// they differ before it, t is a generation of its own.
func (c *collector) differs(t, original *tracked) (own, decided bool) {
	if original.away || original.copied || original.file == nil || t.file == nil || !original.orphaned.IsZero() || t.base != 0 || original.base != 0 {
		return false, false
	}
	copied, err := files.StatFile(t.file) // before the original, which only grows
	if err != nil {
		return false, false
	}
	now, err := files.StatFile(original.file)
	if err != nil {
		return false, false
	}
	// A little at a time: other files are read in between.
	whole := min(copied.Size, now.Size)
	until := min(whole, t.sameUntil+compareMax)
	at, err := files.FirstDifference(t.file, original.file, t.sameUntil, until)
	if err != nil {
		return false, false
	}
	// The original may have been truncated before or while it was compared. Then the end of what is left of it, or what was written to it
	// since, is no difference between the two: t is its copy.
	if _, err := original.check(&c.scratch, 0); errors.Is(err, errTruncated) {
		c.truncated(original)
		return false, true
	} else if err != nil {
		return false, false
	}
	t.sameUntil = at
	switch {
	case at == until && until < whole:
		c.enqueue(t)
		return false, true
	case at >= copied.Size:
		return false, false
	case at < original.cursor.Pos:
		return true, true
	default:
		c.truncated(original)
		return false, true
	}
}

// compareMax bounds the bytes that are compared before something else is done.
const compareMax = 8 << 20

// holdOver reports whether t was held back for long enough to be a file of its own. A copy outside the globs is
// noted, and never read.
func (c *collector) holdOver(t *tracked) bool {
	last := t.foundAt
	if t.grownAt.After(last) {
		last = t.grownAt
	}
	if time.Since(last) < c.a.o.CopyHold {
		return false
	}
	if !t.sibling {
		return true
	}
	c.mint(t)
	c.reg.Update(t.entry.Number, func(f *registry.File) { f.Ignored = true })
	t.in = nil
	c.shut(t)
	return false
}

// originalOf returns the generation that t seems to be a copy of.
func (c *collector) originalOf(t *tracked) *tracked {
	dir, name := filepath.Split(t.path)
	var best *tracked
	for g := range c.all {
		if g == t || !g.minted || g.in == nil || g.headLen() == 0 || g.path == t.path || g.entry.Path == t.path {
			continue
		}
		near := filepath.Dir(g.entry.Path) == filepath.Clean(dir) || filepath.Dir(g.path) == filepath.Clean(dir)
		related := near && (files.Related(filepath.Base(g.path), name) || files.Related(filepath.Base(g.entry.Path), name))
		if t.sibling && (!related || g.away && g.orphaned.IsZero()) {
			continue // a rotated file of another name, or one of a file that is rotated by renaming
		}
		young := t.id.BirthNs/1e6 > g.entry.MintedMs && len(t.head) == files.HeadMax && g.headLen() == files.HeadMax
		if !related && !young {
			continue
		}
		if len(g.head) > 0 && g.head.Begins(t.head) || len(g.head) == 0 && g.headMatches(t.head) {
			if best == nil || !g.orphaned.IsZero() {
				best = g
			}
		}
	}
	return best
}
