package pipelines

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
)

// bulkWriter is what a batcher writes through, [elastic.Writer].
type bulkWriter interface {
	Write(ctx context.Context, b *elastic.Batch) (elastic.Result, error)
}

// bulk is one bulk request with what must be told when it is done.
type bulk struct {
	batch elastic.Batch
	// ticket is new for each use.
	ticket *ticket
	// parts are the partitions that have documents in it.
	parts  []*progress
	opened time.Time
}

// batcher collects the documents of a pipeline into bulk requests and writes
// them. add is called by the partitions' goroutines; run's own goroutines write.
type batcher struct {
	limits configs.ElasticsearchOutput
	writer bulkWriter
	// refused takes a document to the dead-letter topic and returns when it is
	// there; its only error is the context's.
	refused func(ctx context.Context, r elastic.Refusal) error
	metrics pipelineMetrics
	now     func() time.Time

	// free holds the requests that nobody uses, full those to be written.
	// Invariant: bulksMax requests exist, so that no send to either blocks.
	free, full chan *bulk

	mu      sync.Mutex
	current *bulk
	tickets int64
}

func newBatcher(limits configs.ElasticsearchOutput, w bulkWriter, refused func(context.Context, elastic.Refusal) error, m pipelineMetrics) *batcher {
	b := &batcher{
		limits: limits, writer: w, refused: refused, metrics: m, now: time.Now,
		free: make(chan *bulk, bulksMax), full: make(chan *bulk, bulksMax),
	}
	for range bulksMax {
		b.free <- &bulk{}
	}
	return b
}

// document is one document with the record that it was made of.
type document struct {
	index, id string
	body      []byte
	msg       *sarama.ConsumerMessage
}

// add puts a document into the current request. While all requests are under
// way it waits; its only error is the context's. body is copied.
func (b *batcher) add(ctx context.Context, p *progress, d document) error {
	b.mu.Lock()
	for b.current == nil {
		b.mu.Unlock()
		var fresh *bulk
		select {
		case fresh = <-b.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.mu.Lock()
		b.open(fresh)
	}
	c := b.current
	c.batch.Create(d.index, d.id, d.body, d.msg)
	if p.note(c.ticket, d.msg.Offset) {
		c.parts = append(c.parts, p)
	}
	if c.batch.Len() >= b.limits.BulkCount || int64(c.batch.Size()) >= b.limits.BulkSize.Bytes() {
		b.seal()
	}
	b.mu.Unlock()
	return nil
}

// open makes a free request the current one, unless another was quicker.
func (b *batcher) open(fresh *bulk) {
	if b.current != nil {
		b.free <- fresh
		return
	}
	b.tickets++
	fresh.ticket, fresh.opened = &ticket{b.tickets}, b.now()
	b.current = fresh
}

// seal sends the current request on; b.mu is held.
func (b *batcher) seal() {
	b.full <- b.current
	b.current = nil
}

// flush sends the current request on if it is that old.
func (b *batcher) flush(age time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil && b.now().Sub(b.current.opened) >= age {
		b.seal()
	}
}

// run writes requests until ctx ends. What is under way then is given up.
func (b *batcher) run(ctx context.Context) {
	var g errgroup.Group
	for range writersMax {
		g.Go(func() error {
			b.writeAll(ctx)
			return nil
		})
	}
	b.flushRegularly(ctx)
	_ = g.Wait() // the functions return no errors
}

// flushRegularly keeps every document's wait under the interval.
func (b *batcher) flushRegularly(ctx context.Context) {
	half := max(b.limits.BulkInterval.D()/2, time.Millisecond)
	ticker := time.NewTicker(half)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			b.flush(half)
		}
	}
}

func (b *batcher) writeAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-b.full:
			if b.write(ctx, c) != nil {
				return
			}
		}
	}
}

// write writes one request and tells its partitions.
func (b *batcher) write(ctx context.Context, c *bulk) error {
	start := b.now()
	res, err := b.writer.Write(ctx, &c.batch)
	if err != nil {
		return err
	}
	for _, r := range res.Refused {
		if err := b.refused(ctx, r); err != nil {
			return err
		}
	}
	b.metrics.written(res, b.now().Sub(start))
	for _, p := range c.parts {
		p.settle(c.ticket)
	}
	clear(c.parts)
	c.parts = c.parts[:0]
	c.batch.Reset()
	b.free <- c
	return nil
}
