package groups

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/groups/core"
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
	coordinator.Log
	AppendMarker(m storage.Marker) (storage.AppendResult, error)
}

// Coordinator coordinates the groups of the partitions that are loaded. Its
// methods may be called from any goroutine.
type Coordinator struct {
	cfg     Config
	options Options
	metrics *metrics
	clock   *coordinator.Clock
	shards  coordinator.Shards[*shard]
}

// New returns a coordinator that coordinates nothing yet.
func New(cfg Config, o Options) *Coordinator {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Coordinator{cfg: cfg, options: o, metrics: newMetrics(o.Registerer), clock: coordinator.NewClock(o.Clock)}
}

// SetPartitions says how many partitions __consumer_offsets has; before,
// requests are answered with COORDINATOR_NOT_AVAILABLE. The number must not change.
func (c *Coordinator) SetPartitions(count int32) { c.shards.SetPartitions(count) }

// Load begins to coordinate the groups of a partition, whose log this node
// leads. It returns at once; the shard's goroutine reads the log. A
// partition that is loaded is left as it is.
func (c *Coordinator) Load(partition int32, log Log) {
	c.shards.Load(partition, func() *shard { return newShard(c, partition, log) })
}

// Unload ends to coordinate the groups of a partition; requests that wait
// are answered with NOT_COORDINATOR. It returns when the shard's goroutine has ended.
func (c *Coordinator) Unload(partition int32) { c.shards.Unload(partition) }

// WaitLoaded returns when every partition that was given to Load has been
// loaded once, or ctx ends.
func (c *Coordinator) WaitLoaded(ctx context.Context) error { return c.shards.WaitLoaded(ctx) }

// DeleteTopics deletes the committed offsets of the topics for which gone is
// true. It is called with a topic's name and the id it had when the offset was
// committed, all zero if that is not known; gone must be safe to call from
// any goroutine. DeleteTopics returns at once. What a crash keeps from
// being deleted is deleted after the next start.
func (c *Coordinator) DeleteTopics(gone func(name string, id [16]byte) bool) {
	for _, sh := range c.shards.All() {
		sh.Control(op{gone: gone})
	}
}

// Close ends all shards. Requests that wait are answered with NOT_COORDINATOR.
// No goroutine of the coordinator runs after it; replies that wait for a
// flush come when the storage engine has flushed or closed the log.
func (c *Coordinator) Close() { c.shards.Close() }
