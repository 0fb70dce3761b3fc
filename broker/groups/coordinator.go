package groups

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/statelog"
	"github.com/millrace/millrace/broker/storage"
)

// Config is the configuration of groups; see [core.Config].
type Config = core.Config

// DefaultConfig returns Apache Kafka's defaults.
func DefaultConfig() Config { return core.DefaultConfig() }

// Options are what a coordinator needs of its surroundings.
type Options struct {
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer
	// Clock gives the time; nil is time.Now.
	Clock func() time.Time
	// Topics looks a topic up in the metadata image. Commits for partitions
	// that it does not know are refused, and after loading the offsets of topics
	// that it does not know are deleted. nil knows every topic.
	Topics core.Topics
	// Image is what the consumer groups of the new protocol see of the topics and
	// of the configs of groups; nil has none.
	Image core.Image
}

// Log is what a shard needs of its partition; [storage.Log] has it.
type Log interface {
	statelog.Log
	AppendMarker(m storage.Marker) (storage.AppendResult, error)
}

// Coordinator coordinates the groups of the partitions that are loaded. Its
// methods may be called from any goroutine.
type Coordinator struct {
	cfg     Config
	options Options
	metrics *metrics
	started time.Time

	mu         sync.RWMutex
	partitions int32
	shards     map[int32]*shard
	closed     bool
}

// New returns a coordinator that coordinates nothing yet.
func New(cfg Config, o Options) *Coordinator {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Coordinator{
		cfg: cfg, options: o, metrics: newMetrics(o.Registerer), started: o.Clock(), shards: map[int32]*shard{},
	}
}

// SetPartitions says how many partitions __consumer_offsets has; before,
// requests are answered with COORDINATOR_NOT_AVAILABLE. The number must not change.
func (c *Coordinator) SetPartitions(count int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partitions = count
}

// Load begins to coordinate the groups of a partition, whose log this node
// leads. It returns at once; the shard's goroutine reads the log. A
// partition that is loaded is left as it is.
func (c *Coordinator) Load(partition int32, log Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.shards[partition] != nil {
		return
	}
	sh := newShard(c, partition, log)
	c.shards[partition] = sh
	go sh.run()
}

// Unload ends to coordinate the groups of a partition; requests that wait
// are answered with NOT_COORDINATOR. It returns when the shard's goroutine has ended.
func (c *Coordinator) Unload(partition int32) {
	c.mu.Lock()
	sh := c.shards[partition]
	delete(c.shards, partition)
	c.mu.Unlock()
	if sh != nil {
		sh.stop()
		<-sh.ended
	}
}

// WaitLoaded returns when every partition that was given to Load has been
// loaded once, or ctx ends.
func (c *Coordinator) WaitLoaded(ctx context.Context) error {
	for _, sh := range c.allShards() {
		select {
		case <-sh.loadedOnce:
		case <-sh.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// DeleteTopics deletes the committed offsets of the topics for which gone is
// true. It is called with a topic's name and the id it had when the offset was
// committed, all zero if that is not known; gone must be safe to call from
// any goroutine. DeleteTopics returns at once. What a crash keeps from
// being deleted is deleted after the next start.
func (c *Coordinator) DeleteTopics(gone func(name string, id [16]byte) bool) {
	for _, sh := range c.allShards() {
		sh.control(op{gone: gone})
	}
}

// Close ends all shards. Requests that wait are answered with NOT_COORDINATOR.
// No goroutine of the coordinator runs after it; replies that wait for a
// flush come when the storage engine has flushed or closed the log.
func (c *Coordinator) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	shards := c.allShards()
	for _, sh := range shards {
		sh.stop()
	}
	for _, sh := range shards {
		<-sh.ended
	}
	return nil
}

// allShards returns the shards in the order of their partitions.
func (c *Coordinator) allShards() []*shard {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]*shard, 0, len(c.shards))
	for _, p := range slices.Sorted(maps.Keys(c.shards)) {
		all = append(all, c.shards[p])
	}
	return all
}

// nowMs is the time that shards see: it starts at the clock's and goes on
// steadily, so that a clock that is set does not end sessions.
func (c *Coordinator) nowMs() int64 {
	return c.started.UnixMilli() + c.options.Clock().Sub(c.started).Milliseconds()
}
