package agent

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
)

// scanAll looks at all folders of all inputs.
func (c *collector) scanAll() {
	now := time.Now().UnixMilli()
	visited := map[string]bool{}
	for _, in := range c.inputs {
		watch := func(path string) bool {
			c.watch(path)
			return false
		}
		missing, err := files.Walk(in.matcher, watch, func(f files.Folder) {
			if !visited[f.Path] {
				visited[f.Path] = true
				c.lookAt(f)
			}
		})
		for _, dir := range missing {
			c.watch(dir)
		}
		if err != nil {
			c.logger.Warn("a folder cannot be read: it is tried again at each rescan", "input", in.name, "error", err)
		}
		if in.first {
			in.first, in.seenMs = false, now
			c.reg.SetInputSeen(in.name, now)
		}
	}
	c.dirs = visited
	// Files that were moved to where no glob looks.
	for dir := range c.trackedFolders() {
		if !visited[dir] {
			if f, err := files.ReadFolder(dir); err == nil {
				c.lookAt(f)
			}
		}
	}
	c.metrics.filesKnown.Set(float64(len(c.all)))
}

func (c *collector) trackedFolders() map[string]bool {
	dirs := map[string]bool{}
	for t := range c.all {
		dirs[filepath.Dir(t.path)] = true
	}
	return dirs
}

func (c *collector) watch(dir string) {
	if _, err := c.watcher.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) && !c.a.watchFailed {
		c.a.watchFailed = true
		c.logger.Warn("a folder cannot be watched: its files are found by the rescan only (raise fs.inotify.max_user_watches)", "folder", dir, "error", err)
	}
}

// apply deals with what the watcher has seen.
func (c *collector) apply(ch files.Changes) {
	if ch.Overflow {
		c.nextScan = time.Time{}
	}
	for dir := range ch.Folders {
		if !c.dirs[dir] {
			c.nextScan = time.Time{} // the parent of a folder that was missing, or a new one
			continue
		}
		f, err := files.ReadFolder(dir)
		if err != nil {
			c.nextScan = time.Time{}
			continue
		}
		c.lookAt(f)
		for _, sub := range f.Folders {
			for _, in := range c.inputs {
				if !c.dirs[sub.Path] && in.matcher.Enters(sub.Path) {
					c.nextScan = time.Time{}
				}
			}
		}
	}
	for path := range ch.Files {
		if t := c.byPath[path]; t != nil {
			c.wake(t)
		}
	}
}

// wake makes t be read, opening it if needed.
func (c *collector) wake(t *tracked) {
	if t.file == nil && !c.reopen(t) {
		return
	}
	c.enqueue(t)
}

// lookAt compares a folder with what is known.
func (c *collector) lookAt(f files.Folder) {
	files.SortByBirth(f.Files)
	here := map[*tracked]bool{}
	near := c.readIn(f.Path)
	for _, found := range f.Files {
		if t := c.byInode[found.Key()]; t != nil {
			if t.id.Same(found.Identity) {
				here[t] = true
				c.seen(t, found)
				continue
			}
			c.vanished(t) // the inode was handed out again
		}
		if in := c.inputOf(found.Path); in != nil {
			c.discover(in, found, false)
		} else if in := c.rotatedFrom(near, found); in != nil {
			c.discover(in, found, true)
		}
	}
	for t := range c.all {
		if !here[t] && filepath.Dir(t.path) == f.Path && t.orphaned.IsZero() && t.missing.IsZero() {
			t.away = true
			if t.file == nil {
				t.missing = time.Now()
			}
		}
	}
}

func (c *collector) inputOf(path string) *input {
	for _, in := range c.inputs {
		if in.matcher.Match(path) {
			return in
		}
	}
	return nil
}

// readIn returns the generations that were found in a folder by a glob.
func (c *collector) readIn(dir string) []*tracked {
	var near []*tracked
	for t := range c.all {
		if t.in != nil && t.minted && !t.sibling && filepath.Dir(t.entry.Path) == dir {
			near = append(near, t)
		}
	}
	return near
}

// rotatedFrom finds the input of a file outside the globs that was rotated away before anybody saw it: its name
// is a numbered or dated form of one that an input reads, and it was born after the input was looked at for the first time.
func (c *collector) rotatedFrom(near []*tracked, found files.Found) *input {
	if found.BirthNs == 0 || found.Link {
		return nil
	}
	dir, name := filepath.Split(found.Path)
	for _, t := range near {
		if bornAfter(found, t.in) && files.Rotated(filepath.Base(t.entry.Path), name) {
			return t.in
		}
	}
	for _, base := range files.Bases(name) {
		if in := c.inputOf(filepath.Join(dir, base)); in != nil && bornAfter(found, in) {
			return in
		}
	}
	return nil
}

// birthLagMs is by how much the kernel's time of a file's birth may be behind
// the clock: it is taken from the last timer tick.
const birthLagMs = 20

func bornAfter(found files.Found, in *input) bool {
	return !in.first && found.BirthNs/1e6 > in.seenMs-birthLagMs && !in.matcher.Excluded(found.Path)
}

// seen notes that the known file t is at a path.
func (c *collector) seen(t *tracked, found files.Found) {
	t.missing = time.Time{}
	if t.path != found.Path {
		if info, err := files.StatPath(t.path); err != nil || !t.id.Same(info.Identity) {
			c.moveTo(t, found.Path)
		}
	}
	t.away = t.minted && t.path != t.entry.Path
	if t.in == nil {
		return
	}
	if t.file == nil {
		done := t.copied && t.final
		touched := t.closedModNs != 0 && found.ModifiedNs > t.closedModNs
		if touched || !done && found.Size != t.cursor.Pos {
			c.wake(t)
		}
		return
	}
	if found.Size != t.size || !t.minted {
		c.enqueue(t)
	}
}

// moveTo notes that t was renamed.
func (c *collector) moveTo(t *tracked, path string) {
	if c.byPath[t.path] == t {
		delete(c.byPath, t.path)
	}
	t.path = path
	c.byPath[path] = t
	if t.minted {
		c.reg.Update(t.entry.Number, func(f *registry.File) { f.Current = path })
	}
}

// discover opens a file at once, which pins its inode, and makes it be read.
func (c *collector) discover(in *input, found files.Found, sibling bool) {
	file, id, ok := c.openFile(found.Path)
	if !ok {
		return
	}
	if have := c.byInode[id.Key()]; have != nil && have.id.Same(id.Identity) {
		c.closeFile(file)
		return
	}
	t := &tracked{
		in: in, path: found.Path, id: id.Identity, file: file, sibling: sibling,
		size: 0, links: id.Links, foundAt: time.Now(), grownAt: time.Now(),
	}
	if in.first && in.fromEnd {
		t.cursor = batch.Cursor{Pos: id.Size}
		t.size = id.Size
	}
	c.add(t)
	c.enqueue(t)
}

// add makes t known by its inode and path.
func (c *collector) add(t *tracked) {
	c.all[t] = true
	c.byInode[t.id.Key()] = t
	c.byPath[t.path] = t
}

// remove forgets t here; the registry is the caller's concern.
func (c *collector) remove(t *tracked) {
	delete(c.all, t)
	if c.byInode[t.id.Key()] == t {
		delete(c.byInode, t.id.Key())
	}
	if c.byPath[t.path] == t {
		delete(c.byPath, t.path)
	}
	if t.minted {
		delete(c.numbers, t.entry.Number)
		if loads := c.loads[t.entry.Topic]; t.entry.Partition >= 0 && int(t.entry.Partition) < len(loads) {
			loads[t.entry.Partition]--
		}
	}
	c.shut(t)
	t.parked, t.queued = false, false
}

// openFile opens a path for reading, if the limit of open files allows.
func (c *collector) openFile(path string) (*os.File, files.Info, bool) {
	if c.opened >= c.cfg.OpenFilesMax && !c.closeIdlest() {
		return nil, files.Info{}, false
	}
	// O_NONBLOCK: what was a file may be a pipe by now.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && !c.a.openFailed[path] {
			c.a.openFailed[path] = true
			c.logger.Error("a file cannot be opened: it is tried again at each rescan", "path", path, "error", err)
		}
		return nil, files.Info{}, false
	}
	delete(c.a.openFailed, path)
	info, err := files.StatFile(file)
	c.opened++
	c.metrics.filesOpen.Set(float64(c.opened)) // after the size is known, from which start_at: end goes on
	if err != nil || !info.Regular {
		c.closeFile(file)
		return nil, files.Info{}, false
	}
	return file, info, true
}

func (c *collector) closeFile(f *os.File) {
	c.opened--
	c.metrics.filesOpen.Set(float64(c.opened))
	if err := f.Close(); err != nil {
		c.logger.Warn("a file could not be closed", "path", f.Name(), "error", err)
	}
}

// shut closes t's file.
func (c *collector) shut(t *tracked) {
	if t.file == nil {
		return
	}
	if info, err := files.StatFile(t.file); err == nil {
		t.closedModNs = info.ModifiedNs
	}
	c.closeFile(t.file)
	t.file = nil
}

// reopen opens t again under its path.
func (c *collector) reopen(t *tracked) bool {
	file, info, ok := c.openFile(t.path)
	if !ok {
		return false
	}
	if !t.id.Same(info.Identity) {
		c.closeFile(file)
		return false
	}
	t.file, t.links, t.final = file, info.Links, false
	if len(t.head) == 0 && t.minted && t.entry.HeadLen > 0 {
		head, err := files.ReadHead(file, t.base, int(t.entry.HeadLen))
		if err != nil || !t.headMatches(head) || info.Size < t.cursor.Pos || !t.tailMatches(file) {
			c.truncated(t)
			return false
		}
		t.head = head
	}
	return true
}

// closeIdlest closes the file that has been quiet for longest and is read to
// its end, to make room for another.
func (c *collector) closeIdlest() bool {
	var idlest *tracked
	for t := range c.all {
		if t.file == nil || t.queued || t.parked || !t.minted || !t.atEnd() || t.links == 0 {
			continue
		}
		if idlest == nil || t.grownAt.Before(idlest.grownAt) {
			idlest = t
		}
	}
	if idlest == nil {
		return false
	}
	c.shut(idlest)
	return true
}
