package transactions

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
)

// Topic is the topic that the coordinator keeps its state in.
const Topic = "__transaction_state"

// Config is the configuration of transactions; see [core.Config].
type Config = core.Config

// DefaultConfig returns Apache Kafka's defaults.
func DefaultConfig() Config { return core.DefaultConfig() }

// PartitionFor returns the partition of __transaction_state that a
// transactional id belongs to: it is found as that of a group is.
func PartitionFor(id string, partitions int32) int32 {
	return coordinator.PartitionFor(id, partitions)
}

// Options are what a coordinator needs of its surroundings.
type Options struct {
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer
	// Clock gives the time; nil is time.Now.
	Clock func() time.Time
	// NewProducerID returns a producer id that was never given out before.
	NewProducerID func() (int64, error)
	// TransactionVersion is the transaction.version that the cluster has agreed on at
	// present (KIP-1022); nil is the newest.
	TransactionVersion func() int16
	// WriteMarker appends a marker to a partition, and calls done once, from
	// any goroutine, when it is durable (nil) or was not written; then it is
	// called again later. A partition that is no more counts as written. It must not block
	// for longer than an append, nor keep the marker.
	WriteMarker func(p core.Partition, m storage.Marker, done func(error))
}

// Log is what a shard needs of its partition; [storage.Log] has it.
type Log = coordinator.Log

// Coordinator coordinates the transactions of the partitions that are loaded.
// Its methods may be called from any goroutine.
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
	if o.TransactionVersion == nil {
		o.TransactionVersion = func() int16 { return core.VersionMax }
	}
	return &Coordinator{cfg: cfg, options: o, metrics: newMetrics(o.Registerer), clock: coordinator.NewClock(o.Clock)}
}

// SetPartitions says how many partitions __transaction_state has; before,
// requests are answered with COORDINATOR_NOT_AVAILABLE. The number must not change.
func (c *Coordinator) SetPartitions(count int32) { c.shards.SetPartitions(count) }

// Load begins to coordinate the ids of a partition, whose log this node leads.
// It returns at once; the shard's goroutine reads the log. A partition that is
// loaded is left as it is.
func (c *Coordinator) Load(partition int32, log Log) {
	c.shards.Load(partition, func() *shard { return newShard(c, partition, log) })
}

// Unload ends to coordinate the ids of a partition; requests that wait are
// answered with NOT_COORDINATOR. It returns when the shard's goroutine has ended.
func (c *Coordinator) Unload(partition int32) { c.shards.Unload(partition) }

// WaitLoaded returns when every partition that was given to Load has been
// loaded once, or ctx ends.
func (c *Coordinator) WaitLoaded(ctx context.Context) error { return c.shards.WaitLoaded(ctx) }

// Close ends all shards. Requests that wait are answered with NOT_COORDINATOR.
// No goroutine of the coordinator runs after it; replies that wait for a
// flush come when the storage engine has flushed or closed the log.
func (c *Coordinator) Close() { c.shards.Close() }

// Do gives a request to the shard of its transactional id. Which reply fields
// mean something is said at [core.Result].
func (c *Coordinator) Do(id string, request core.Request, reply func(core.Result)) {
	sh, code := c.shards.Of(id)
	if code != 0 {
		reply(core.Failed(code))
		return
	}
	sh.submit(request, reply)
}

// List asks all shards for the transactional ids for which match is true; nil
// matches all. match is called on the shards' goroutines. One shard that
// cannot answer makes the whole answer an error, so that nobody takes a part for all.
func (c *Coordinator) List(match func(core.Description) bool, reply func(core.Result)) {
	shards := c.shards.All()
	if len(shards) == 0 {
		reply(core.Failed(0))
		return
	}
	var mu sync.Mutex
	all, missing := core.Failed(0), len(shards)
	for _, sh := range shards {
		sh.submit(&core.List{Match: match}, func(r core.Result) {
			mu.Lock()
			if all.Code == 0 {
				all.Code = r.Code
			}
			all.Transactions = append(all.Transactions, r.Transactions...)
			missing--
			last := missing == 0
			mu.Unlock()
			if last {
				reply(all)
			}
		})
	}
}
