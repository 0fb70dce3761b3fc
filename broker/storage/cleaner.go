package storage

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// CleanerConfig is how logs with cleanup.policy=compact are compacted.
type CleanerConfig struct {
	// Threads is how many logs are compacted at once (log.cleaner.threads); 0 is
	// 1, negative turns compaction off.
	Threads int
	// MemoryBytesMax bounds the memory for the keys, of all threads together
	// (log.cleaner.dedupe.buffer.size); 0 is 128 MiB. It is taken while a log is compacted, as
	// much as that one may need: 24 bytes a key.
	MemoryBytesMax int64
	// LoadFactor is how full the table of keys may be
	// (log.cleaner.io.buffer.load.factor); 0 is 0.9.
	LoadFactor float64
	// BytesPerSecondMax bounds what is read and written
	// (log.cleaner.io.max.bytes.per.second); 0 has no limit.
	BytesPerSecondMax float64
	// Backoff is the time between two looks for a log that is dirty enough
	// (log.cleaner.backoff.ms); 0 is 15 s.
	Backoff time.Duration
}

func (c CleanerConfig) withDefaults() CleanerConfig {
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.MemoryBytesMax <= 0 {
		c.MemoryBytesMax = 128 << 20
	}
	if c.LoadFactor <= 0 || c.LoadFactor > 1 {
		c.LoadFactor = 0.9
	}
	if c.Backoff <= 0 {
		c.Backoff = 15 * time.Second
	}
	return c
}

// cleanRetryDelay is how long a log waits whose compaction has failed for a
// reason that may pass, such as a full disk.
const cleanRetryDelay = time.Minute

// cleaner compacts the logs of a store, the dirtiest first, on its own
// goroutines.
type cleaner struct {
	store *Store
	// changeMu is held while the goroutines are exchanged.
	changeMu sync.Mutex
	stop     chan struct{}  // of the present goroutines; protected by changeMu
	running  sync.WaitGroup // they
	mu       sync.Mutex
	cfg      CleanerConfig
	// busy are the logs that are being compacted, at most one for each thread.
	busy map[*Log]bool // protected by mu
	// retryMs is when a log that has failed may be tried again; protected by mu.
	retryMs map[*Log]int64
	pace    pace
}

// start begins to compact under cfg.
func (c *cleaner) start(cfg CleanerConfig) {
	c.changeMu.Lock()
	defer c.changeMu.Unlock()
	c.begin(cfg)
}

func (c *cleaner) begin(cfg CleanerConfig) {
	cfg = cfg.withDefaults()
	c.mu.Lock()
	c.cfg = cfg
	if c.busy == nil {
		c.busy, c.retryMs = map[*Log]bool{}, map[*Log]int64{}
	}
	c.mu.Unlock()
	c.pace.set(cfg.BytesPerSecondMax)
	stop := make(chan struct{})
	c.stop = stop
	for range cfg.Threads {
		c.running.Go(func() { c.work(stop) })
	}
}

// halt ends the goroutines; what they are at is given up.
func (c *cleaner) halt() {
	c.changeMu.Lock()
	defer c.changeMu.Unlock()
	c.end()
}

func (c *cleaner) end() {
	if c.stop != nil {
		close(c.stop)
		c.running.Wait()
		c.stop = nil
	}
}

// SetCleaner changes how logs are compacted. What is being compacted at the
// moment begins anew.
func (s *Store) SetCleaner(cfg CleanerConfig) {
	c := &s.cleaner
	c.changeMu.Lock()
	defer c.changeMu.Unlock()
	if c.stop == nil {
		return // closed
	}
	c.mu.Lock()
	same := c.cfg == cfg.withDefaults()
	c.mu.Unlock()
	if !same {
		c.end()
		c.begin(cfg)
	}
}

func (c *cleaner) work(stop <-chan struct{}) {
	c.mu.Lock()
	backoff := c.cfg.Backoff
	c.mu.Unlock()
	timer := time.NewTimer(backoff)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		for c.cleanDirtiest(stop) {
			select {
			case <-stop:
				return
			default:
			}
		}
		timer.Reset(backoff)
	}
}

// cleanDirtiest compacts the log that needs it most; false when none does.
func (c *cleaner) cleanDirtiest(stop <-chan struct{}) bool {
	target, ok := c.pick()
	if !ok {
		return false
	}
	defer c.done(target.l)
	c.mu.Lock()
	cfg := c.cfg
	c.mu.Unlock()
	r := &cleanRun{
		l: target.l, target: target, bytesMax: cfg.MemoryBytesMax / int64(max(cfg.Threads, 1)), load: cfg.LoadFactor,
		pause: func(bytes int) error { return c.pace.take(bytes, stop) },
	}
	begin := time.Now()
	result, err := r.run()
	c.store.metrics.cleaned(&result, time.Since(begin), c.store.cfg.Clock())
	c.settle(target.l, r, time.Since(begin), err)
	return true
}

// settle reports a run.
func (c *cleaner) settle(l *Log, r *cleanRun, took time.Duration, err error) {
	var damage *CorruptionError
	switch {
	case err == nil:
		c.store.log.Info("log compacted", r.logValues(took)...)
	case errors.Is(err, errCleanStopped), errors.Is(err, errSegmentsChanged), l.Err() != nil:
		c.store.log.Debug("compaction given up", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
		c.retryAfter(l, c.backoff())
	case errors.As(err, &damage) || errors.Is(err, errCleanTooLarge):
		l.setUncleanable(err)
	default:
		c.store.log.Error("compaction failed and will be repeated", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
		c.retryAfter(l, cleanRetryDelay)
	}
}

func (c *cleaner) backoff() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.Backoff
}

func (c *cleaner) retryAfter(l *Log, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retryMs[l] = c.store.cfg.Clock().Add(delay).UnixMilli()
}

func (c *cleaner) done(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, l)
}

// pick chooses the dirtiest log and marks it as busy.
func (c *cleaner) pick() (cleanTarget, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nowMs := c.store.nowMs()
	for l, at := range c.retryMs {
		if at <= nowMs || l.Err() != nil {
			delete(c.retryMs, l)
		}
	}
	var best cleanTarget
	var dirtiest float64
	var uncleanable, uncleanableBytes int64
	for _, l := range c.store.sorted() {
		if l.cfg.Load().CleanupPolicy&CleanupCompact == 0 || !l.configured.Load() || l.Err() != nil {
			continue
		}
		if l.isUncleanable() {
			uncleanable, uncleanableBytes = uncleanable+1, uncleanableBytes+l.SizeBytes()
			continue
		}
		if _, later := c.retryMs[l]; later || c.busy[l] {
			continue
		}
		t, err := c.look(l, nowMs)
		if err != nil {
			continue
		}
		dirtiest = max(dirtiest, t.ratio())
		if t.wanted() && (best.l == nil || t.ratio() > best.ratio()) {
			best = t
		}
	}
	c.store.metrics.dirty(dirtiest, uncleanable, uncleanableBytes)
	if best.l == nil {
		return cleanTarget{}, false
	}
	c.busy[best.l] = true
	return best, true
}

// look finds out how dirty a log is. It is called with mu held; what goes wrong is settled here.
func (c *cleaner) look(l *Log, nowMs int64) (cleanTarget, error) {
	t, err := l.cleanTarget(nowMs)
	if err == nil {
		err = l.rollOverdue(nowMs)
	}
	switch {
	case err == nil:
	case l.Err() != nil:
	case errors.As(err, new(*CorruptionError)):
		l.setUncleanable(err)
	default:
		c.store.log.Error("log cannot be looked at for compaction", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
		c.retryMs[l] = nowMs + cleanRetryDelay.Milliseconds()
	}
	return t, err
}

// uncleanable is why a log is not compacted any more, and where the damage ends.
type uncleanable struct {
	err    error
	offset int64
}

// setUncleanable takes the log out of compaction, which goes on with the
// others. Reads and appends are as before.
func (l *Log) setUncleanable(err error) {
	u := &uncleanable{err: err, offset: -1}
	if damage := (*CorruptionError)(nil); errors.As(err, &damage) {
		u.offset = damage.Offset
	}
	l.uncleanable.Store(u)
	l.store.log.Error("log is not compacted any more, because of damage in it; it is tried again when the damaged segment is deleted, when its configs change and after a restart",
		"topic", l.id.Topic, "partition", l.id.Partition, "error", err)
}

func (l *Log) isUncleanable() bool {
	u := l.uncleanable.Load()
	if u == nil {
		return false
	}
	if list := l.list(); u.offset < 0 || u.offset >= list[0].base {
		return true
	}
	l.uncleanable.Store(nil)
	return false
}

// Uncleanable returns why the log is not compacted any more, nil if it is or need not be.
func (l *Log) Uncleanable() error {
	if u := l.uncleanable.Load(); u != nil {
		return fmt.Errorf("log is not compacted any more: %w", u.err)
	}
	return nil
}

// pace bounds the bytes that all threads together read and write.
type pace struct {
	mu        sync.Mutex
	perSecond float64
	free      time.Time // when what was taken so far is paid for
}

// pacePiece is the time's worth of bytes that is taken without a wait.
const pacePiece = 100 * time.Millisecond

func (p *pace) set(perSecond float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perSecond, p.free = perSecond, time.Time{}
}

// take waits until bytes may be read or written; errCleanStopped when stop is
// closed.
func (p *pace) take(bytes int, stop <-chan struct{}) error {
	wait := p.claim(bytes, time.Now())
	if wait <= 0 {
		select {
		case <-stop:
			return errCleanStopped
		default:
			return nil
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-stop:
		return errCleanStopped
	case <-timer.C:
		return nil
	}
}

// claim returns how long to wait before going on.
func (p *pace) claim(bytes int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.perSecond <= 0 {
		return 0
	}
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / p.perSecond * float64(time.Second)))
	return p.free.Sub(now) - pacePiece
}
