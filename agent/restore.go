package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
)

// index finds files by inode, wherever the globs or the registry look.
type index struct {
	byInode map[files.Inode]files.Found
	// byBirth finds a file whose device has got another number.
	byBirth map[[2]uint64]files.Found
}

func (c *collector) buildIndex(entries []registry.File) index {
	x := index{map[files.Inode]files.Found{}, map[[2]uint64]files.Found{}}
	visited := map[string]bool{}
	note := func(f files.Folder) {
		visited[f.Path] = true
		for _, found := range f.Files {
			x.byInode[found.Key()] = found
			x.byBirth[[2]uint64{found.Inode, uint64(found.BirthNs)}] = found
		}
	}
	for _, in := range c.inputs {
		if _, err := files.Walk(in.matcher, nil, note); err != nil {
			c.logger.Warn("a folder cannot be read: it is tried again at each rescan", "input", in.name, "error", err)
		}
	}
	for _, e := range entries {
		for _, path := range []string{e.Current, e.Path} {
			if dir := filepath.Dir(path); !visited[dir] {
				visited[dir] = true
				if f, err := files.ReadFolder(dir); err == nil {
					note(f)
				}
			}
		}
	}
	return x
}

// restore finds the files of the registry again, and makes the batches that are not acknowledged
// from them. It runs before anything is read or sent.
func (c *collector) restore() {
	entries := c.reg.Files()
	x := c.buildIndex(entries)
	byName := map[string]*input{}
	for _, in := range c.inputs {
		byName[in.name] = in
	}
	var lost []*tracked
	for _, e := range entries {
		if e.Forked {
			continue
		}
		t := c.revive(e, byName)
		if !c.locate(t, x) {
			lost = append(lost, t)
		}
	}
	for _, t := range lost {
		if c.seekCopy(t) {
			continue
		}
		e := &t.entry
		id := files.Identity{Device: e.Device, Inode: e.Inode, BirthNs: e.BirthNs}
		_, there := x.byInode[id.Key()]
		if e.Inode == 0 || there || c.byInode[id.Key()] != nil {
			t.orphaned = time.Now()
			continue
		}
		// Nowhere to be seen: deleted, or on a file system that is not mounted.
		t.id, t.missing = id, time.Now()
		c.add(t)
	}
	c.rebuildPlans()
}

// revive makes the tracked file of an entry.
func (c *collector) revive(e registry.File, byName map[string]*input) *tracked {
	t := &tracked{
		entry: e, minted: true, path: e.Current, base: e.Base, cursor: batch.Cursor{Pos: e.Planned}, size: e.Planned,
		copied: e.Copy, away: e.Current != e.Path, moved: e.Moved, foundAt: time.Now(), grownAt: time.Now(), broken: true,
	}
	if !e.Ignored {
		t.in = byName[e.Input]
		if t.in == nil || t.in.topic != e.Topic {
			t.in = c.inputOf(e.Path)
		}
	}
	c.all[t] = true
	c.numbers[e.Number] = t
	if t.in == nil {
		return t
	}
	t.sibling = c.inputOf(e.Path) == nil
	if t.in.topic != e.Topic {
		t.entry.Partition = -1
	}
	if p := int(t.entry.Partition); p >= 0 {
		loads := c.loads[t.in.topic]
		for len(loads) <= p {
			loads = append(loads, 0)
		}
		loads[p]++
		c.loads[t.in.topic] = loads
	}
	t.source = batch.NewSource(e.Number, e.ID, e.Path, t.in.settingsID, t.in.settings, t.in.framer)
	return t
}

// locate finds the inode of t and checks that it still has t's bytes. false
// means that they are elsewhere or nowhere.
func (c *collector) locate(t *tracked, x index) bool {
	e := &t.entry
	id := files.Identity{Device: e.Device, Inode: e.Inode, BirthNs: e.BirthNs}
	found, ok := x.byInode[id.Key()]
	if ok && !id.Same(found.Identity) {
		ok = false
	}
	if !ok && e.BirthNs != 0 && e.HeadLen > 0 {
		found, ok = x.byBirth[[2]uint64{e.Inode, uint64(e.BirthNs)}]
	}
	if e.Inode == 0 || !ok {
		return false
	}
	if t.in == nil {
		t.id, t.path = found.Identity, found.Path
		c.add(t)
		return true
	}
	if have := c.byInode[found.Key()]; have != nil {
		return false // a later generation of the same inode came first
	}
	file, info, ok := c.openFile(found.Path)
	if !ok {
		// It may be readable later; it is there.
		t.id, t.path = found.Identity, found.Path
		c.add(t)
		return true
	}
	head, err := files.ReadHead(file, t.base, files.HeadMax)
	fully := e.Copy && info.Size <= e.Planned
	if err != nil || !head.Matches(int(e.HeadLen), e.HeadSum) || info.Size < e.Planned && !fully || !fully && !t.tailMatches(file) {
		c.closeFile(file)
		return false
	}
	t.file, t.id, t.path, t.links = file, info.Identity, found.Path, info.Links
	t.head, t.away = head[:e.HeadLen], found.Path != e.Path
	c.add(t)
	if found.Path != e.Current || info.Device != e.Device {
		c.reg.Update(e.Number, func(f *registry.File) { f.Current, f.Device = found.Path, info.Device })
	}
	if fully {
		t.final = true
		return true
	}
	t.size = max(info.Size, t.size)
	c.enqueue(t)
	return true
}

// rebuildPlans makes the batches of all plans and hands them to the shipper.
func (c *collector) rebuildPlans() {
	needed := map[uint64]bool{}
	for _, lane := range c.reg.Lanes() {
		if len(lane.Plans) == 0 {
			continue
		}
		batches := make([]*batch.Batch, len(lane.Plans))
		for i := range lane.Plans {
			p := &lane.Plans[i]
			for _, seg := range p.Segments {
				needed[seg.File] = true
			}
			b, err := c.rebuild(p)
			if err != nil && c.followTruncations(p) {
				b, err = c.rebuild(p)
			}
			if err != nil {
				c.metrics.inDoubt.Inc()
				c.logger.Warn("an unacknowledged batch cannot be made again", "topic", lane.Topic, "partition", lane.Partition, "lines", p.Records, "error", err)
				continue
			}
			batches[i] = b
			c.account(int64(b.Bytes()))
		}
		c.shipper.Want(lane.Topic)
		c.shipper.Restore(lane, batches)
	}
	for _, e := range c.reg.Files() {
		if e.Forked && !needed[e.Number] {
			c.reg.Forget(e.Number)
		}
	}
	for t := range c.all {
		if t.final && t.copied {
			c.shut(t)
		}
	}
}

// followTruncations looks for the copies of p's files that were truncated since they were located: rotations do not
// wait for a restart. It reports whether there was one.
func (c *collector) followTruncations(p *batch.Plan) bool {
	found := false
	for i := range p.Segments {
		t := c.numbers[p.Segments[i].File]
		if t == nil || t.file == nil || t.in == nil || t.copied {
			continue
		}
		if _, err := t.check(&c.scratch, 0); errors.Is(err, errTruncated) {
			c.truncated(t)
			found = true
		}
	}
	return found
}

var errNowhere = errors.New("its bytes are nowhere to be found")

// rebuild makes one batch by its plan.
func (c *collector) rebuild(p *batch.Plan) (*batch.Batch, error) {
	b := &batch.Batch{Opened: time.Now()}
	for i := range p.Segments {
		seg := &p.Segments[i]
		if err := c.rebuildSegment(b, seg); err != nil {
			path := ""
			if e, ok := c.reg.File(seg.File); ok {
				path = e.Path
			}
			return nil, fmt.Errorf("file %d (%s): %w", seg.File, path, err)
		}
	}
	if int32(b.Len()) != p.Records {
		return nil, fmt.Errorf("it has %d lines now, not %d: %w", b.Len(), p.Records, batch.ErrDiffers)
	}
	return b, nil
}

func (c *collector) rebuildSegment(b *batch.Batch, seg *batch.Segment) error {
	entry, ok := c.reg.File(seg.File)
	if !ok {
		return errNowhere
	}
	settings, err := c.reg.Settings(seg.Settings)
	if err != nil {
		return err
	}
	framer, err := batch.NewFramer(settings)
	if err != nil {
		return err
	}
	file, opened, err := c.bytesOf(&entry)
	if err != nil {
		return err
	}
	if opened {
		defer c.closeFile(file)
	}
	src := batch.NewSource(entry.Number, entry.ID, entry.Path, seg.Settings, settings, framer)
	return c.scanner.Rebuild(b, src, seg, file)
}

// bytesOf returns the open file that has a generation's bytes; opened tells
// that the caller closes it.
func (c *collector) bytesOf(e *registry.File) (file *os.File, opened bool, err error) {
	t := c.numbers[e.Number]
	if e.Forked {
		t = c.byInode[files.Inode{Device: e.Device, Number: e.Inode}]
	}
	if t == nil || t.id.Inode == 0 {
		return nil, false, errNowhere
	}
	if t.file != nil {
		return t.file, false, nil
	}
	file, info, ok := c.openFile(t.path)
	if !ok {
		return nil, false, errNowhere
	}
	if !t.id.Same(info.Identity) {
		c.closeFile(file)
		return nil, false, errNowhere
	}
	return file, true, nil
}
