package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/agent/ship"
	"github.com/millrace/millrace/configs"
)

const (
	// houseInterval is the time between two looks at quiet files.
	houseInterval = 200 * time.Millisecond
	// pollInterval is the time between two looks at an open file that nothing was reported of.
	pollInterval = time.Second
	// syncInterval bounds how long an acknowledgement stays in memory.
	syncInterval = time.Second
	// quietUnknown is how long a file that was rotated away or deleted has to be quiet before it is taken for done, where the
	// system cannot tell whether somebody still writes to it; quietClosed where nobody does.
	quietUnknown = 5 * time.Second
	quietClosed  = time.Second
	// partialAfter is when a last line without a newline is shipped although the file is still in its place,
	// if nobody has the file open for writing.
	partialAfter = 10 * time.Second
	// forgetAfter is how long a file that is nowhere to be found is remembered.
	forgetAfter = 24 * time.Hour
)

// collector owns all files and all open batches. Only run's goroutine touches
// what has no lock.
type collector struct {
	a       *Agent
	cfg     configs.Agent
	reg     *registry.Registry
	shipper *ship.Shipper
	watcher *files.Watcher
	logger  *slog.Logger
	metrics *metrics
	inputs  []*input

	all     map[*tracked]bool
	byInode map[files.Inode]*tracked
	numbers map[uint64]*tracked
	byPath  map[string]*tracked
	ready   []*tracked
	open    map[registry.LaneKey]*batch.Batch
	spare   []*batch.Batch
	loads   map[string][]int // live files by topic and partition
	opened  int
	dirs    map[string]bool

	scanner batch.Scanner
	scratch [files.HeadMax]byte

	unacked atomic.Int64
	freed   chan struct{}
	spareMu sync.Mutex

	nextHouse, nextScan, nextSync time.Time
	syncFailing                   bool
}

func newCollector(a *Agent) (*collector, error) {
	w, err := files.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &collector{
		a: a, cfg: a.cfg, reg: a.reg, watcher: w, logger: a.logger, metrics: a.metrics, inputs: a.inputs,
		all: map[*tracked]bool{}, byInode: map[files.Inode]*tracked{}, numbers: map[uint64]*tracked{}, byPath: map[string]*tracked{},
		open: map[registry.LaneKey]*batch.Batch{}, loads: map[string][]int{}, dirs: map[string]bool{},
		freed: make(chan struct{}, 1),
	}, nil
}

// close closes all files. The watcher ends with run.
func (c *collector) close() error {
	var errs []error
	for t := range c.all {
		if t.file != nil {
			errs = append(errs, t.file.Close())
			t.file = nil
		}
	}
	c.metrics.filesOpen.Set(0)
	return errors.Join(errs...)
}

// run reads until ctx ends, and then hands over what is read.
func (c *collector) run(ctx context.Context) {
	watchCtx, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- c.watcher.Run(watchCtx) }()
	c.loop(ctx)
	stop()
	c.sealAll()
	if err := <-watched; err != nil {
		c.logger.Warn("the watcher did not close", "error", err)
	}
}

func (c *collector) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		c.timed(now)
		select {
		case <-c.watcher.Ready():
			c.apply(c.watcher.Take())
			continue
		default:
		}
		if len(c.ready) > 0 && c.hasBudget() {
			t := c.ready[0]
			c.ready[0] = nil
			c.ready = c.ready[1:]
			t.queued = false
			c.read(t, batch.EndOpen)
			continue
		}
		timer.Reset(time.Until(c.nextDeadline()))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.freed:
			c.unpark()
		case <-c.shipper.Known():
			c.unpark()
		case <-c.watcher.Ready():
			c.apply(c.watcher.Take())
		}
	}
}

func (c *collector) hasBudget() bool { return c.unacked.Load() < int64(c.cfg.UnackedMax) }

// timed does what is due.
func (c *collector) timed(now time.Time) {
	for key, b := range c.open {
		if now.Sub(b.Opened) >= c.cfg.Linger.D() && !c.shipper.Busy(key) {
			c.seal(key, b)
		}
	}
	if now.After(c.nextScan) {
		c.scanAll()
		c.nextScan = time.Now().Add(c.cfg.RescanInterval.D())
	}
	if now.After(c.nextHouse) {
		c.house(now)
		c.nextHouse = time.Now().Add(houseInterval)
	}
	if now.After(c.nextSync) {
		c.nextSync = now.Add(syncInterval)
		c.syncRegistry()
	}
}

// syncRegistry makes acknowledgements durable that no plan has followed. A failure is said once.
func (c *collector) syncRegistry() {
	err := c.reg.SyncAll()
	switch {
	case err != nil && !c.syncFailing:
		c.logger.Error("the registry cannot be written: shipping waits", "error", err)
	case err == nil && c.syncFailing:
		c.logger.Info("the registry can be written again")
	}
	c.syncFailing = err != nil
}

func (c *collector) nextDeadline() time.Time {
	next := c.nextHouse
	for key, b := range c.open {
		if c.shipper.Busy(key) {
			continue // an acknowledgement comes first, and wakes the loop
		}
		if at := b.Opened.Add(c.cfg.Linger.D()); at.Before(next) {
			next = at
		}
	}
	if soon := time.Now().Add(time.Millisecond); next.Before(soon) {
		return soon
	}
	return next
}

// enqueue makes t be read.
func (c *collector) enqueue(t *tracked) {
	if t.queued || t.parked || t.file == nil {
		return
	}
	t.queued = true
	c.ready = append(c.ready, t)
}

// park takes t out of the way until something is acknowledged or learned.
func (c *collector) park(t *tracked) { t.parked = true }

func (c *collector) unpark() {
	for t := range c.all {
		if t.parked {
			t.parked = false
			c.enqueue(t)
		}
	}
}

// batchFor returns the lane's open batch.
func (c *collector) batchFor(key registry.LaneKey) *batch.Batch {
	b := c.open[key]
	if b == nil {
		c.spareMu.Lock()
		if n := len(c.spare); n > 0 {
			b = c.spare[n-1]
			c.spare = c.spare[:n-1]
		}
		c.spareMu.Unlock()
		if b == nil {
			b = &batch.Batch{}
		}
		b.Opened = time.Now()
		c.open[key] = b
	}
	return b
}

// seal hands a batch to its lane.
func (c *collector) seal(key registry.LaneKey, b *batch.Batch) {
	delete(c.open, key)
	if b.Len() > 0 {
		c.shipper.Submit(key, b)
	}
}

func (c *collector) sealAll() {
	for key, b := range c.open {
		c.seal(key, b)
	}
}

// Acked is called by lanes.
func (c *collector) Acked(b *batch.Batch) {
	c.metrics.linesAcked.Add(float64(b.Len()))
	c.metrics.batchesAcked.Inc()
	c.release(b)
}

// spareMax bounds the batches that are kept for their memory.
const spareMax = 16

// release takes a batch out of the account and keeps its memory.
func (c *collector) release(b *batch.Batch) {
	c.account(-int64(b.Bytes()))
	b.Reset()
	c.spareMu.Lock()
	if len(c.spare) < spareMax {
		c.spare = append(c.spare, b)
	}
	c.spareMu.Unlock()
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

func (c *collector) account(bytes int64) {
	c.metrics.unackedBytes.Set(float64(c.unacked.Add(bytes)))
}

// Lost is called by lanes.
func (c *collector) Lost(key registry.LaneKey, p *batch.Plan, held *batch.Batch, reason string) {
	c.metrics.linesLost.Add(float64(p.Records))
	for _, seg := range p.Segments {
		path, id := "", fmt.Sprint(seg.File)
		if f, ok := c.reg.File(seg.File); ok {
			path, id = f.Path, f.ID
		}
		c.logger.Error("lines are lost", "path", path, "file", id, "from", seg.Start, "to", seg.End, "lines", seg.Records,
			"topic", key.Topic, "partition", key.Partition, "reason", reason)
	}
	if held != nil {
		c.release(held)
	}
}

// Split is called by lanes.
func (c *collector) Split(b, first, second *batch.Batch) {
	c.account(int64(first.Bytes() + second.Bytes()))
	c.release(b)
}

// Cut is called by lanes.
func (c *collector) Cut(registry.LaneKey) { c.metrics.linesCut.Inc() }

// Retried is called by lanes.
func (c *collector) Retried(registry.LaneKey) { c.metrics.retries.Inc() }
