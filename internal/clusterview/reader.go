package clusterview

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Limits of one fetch, in bytes, and of how long the broker may wait for more.
const (
	fetchBytesMax          = 16 << 20
	fetchPartitionBytesMax = 1 << 20
	fetchWaitMs            = 250
	readBackoff            = 250 * time.Millisecond
	readAttemptsMax        = 20
)

// ErrStop ends [View.Read] without an error when the callback returns it.
var ErrStop = errors.New("stop reading")

// Record is one record of a topic. Its slices belong to the receiver.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte
	Headers   []*sarama.RecordHeader
}

// ReadOptions say what [View.Read] reads.
type ReadOptions struct {
	// From holds the partitions to read and the first offset of each.
	From []Resolved
	// Until holds the offset to stop before, per partition of From in the same
	// order. Nil reads on for ever.
	Until []Resolved
	// Isolation is read committed or uncommitted, as in [sarama.FetchRequest].
	Isolation sarama.IsolationLevel
	// Warn is told what is being retried or was skipped; nil is not told.
	Warn func(err error)
}

// Read hands the records of the partitions to fn, in order within each
// partition, until every partition is at its end, the context ends (nil is
// returned), or fn returns an error ([ErrStop] becomes nil). fn is never
// called concurrently. A reader that has an end gives up when a partition
// cannot be read for five seconds; one without retries for ever.
//
// Unlike sarama's consumer it knows when the end is reached although the last
// offsets hold no record that is shown (transaction markers, compacted or
// aborted records).
func (v *View) Read(ctx context.Context, o ReadOptions, fn func(Record) error) error {
	if o.Until != nil && len(o.Until) != len(o.From) {
		panic("clusterview: Until does not match From")
	}
	r := &reader{view: v, options: o, fn: fn}
	for i, f := range o.From {
		p := &readPosition{topic: f.Topic, partition: f.Partition, next: f.Offset, until: -1}
		if o.Until != nil {
			p.until = o.Until[i].Offset
		}
		r.positions = append(r.positions, p)
	}
	err := r.run(ctx)
	if errors.Is(err, ErrStop) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// readPosition is where the reader is in one partition. until is -1 when it has no end.
type readPosition struct {
	topic       string
	partition   int32
	next, until int64
}

func (p *readPosition) done() bool { return p.until >= 0 && p.next >= p.until }

type reader struct {
	view      *View
	options   ReadOptions
	fn        func(Record) error
	positions []*readPosition
}

// run fetches from all leaders at once, hands on what came, and begins again.
func (r *reader) run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		open := r.open()
		if len(open) == 0 {
			return nil
		}
		retry, progress, err := r.round(ctx, open)
		switch {
		case err != nil:
			return err
		case progress:
			failures = 0
		}
		if retry == nil {
			continue
		}
		if failures++; failures >= readAttemptsMax && r.options.Until != nil {
			return retry
		}
		if failures == 1 && r.options.Warn != nil {
			r.options.Warn(fmt.Errorf("%w; trying again", retry))
		}
		wait(ctx, readBackoff)
		if err := r.view.client.RefreshMetadata(r.topics()...); err != nil && errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("topic %q %w any more", r.positions[0].topic, ErrNoTopic)
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (r *reader) open() []*readPosition {
	var open []*readPosition
	for _, p := range r.positions {
		if !p.done() {
			open = append(open, p)
		}
	}
	return open
}

func (r *reader) topics() []string {
	seen := map[string]bool{}
	var topics []string
	for _, p := range r.positions {
		if !seen[p.topic] {
			seen[p.topic] = true
			topics = append(topics, p.topic)
		}
	}
	return topics
}

// leaderFetch is one request to one broker and its answer.
type leaderFetch struct {
	broker    *sarama.Broker
	positions []*readPosition
	response  *sarama.FetchResponse
	err       error
}

// round asks every leader once. retry is a failure that may pass.
func (r *reader) round(ctx context.Context, open []*readPosition) (retry error, progress bool, err error) {
	fetches, retry := r.byLeader(open)
	var wg sync.WaitGroup
	for _, f := range fetches {
		wg.Go(func() { f.response, f.err = f.broker.Fetch(r.request(f.positions)) })
	}
	wg.Wait()
	for _, f := range fetches {
		if ctx.Err() != nil {
			return nil, progress, ctx.Err()
		}
		if f.err != nil {
			retry = Explain(f.err, []string{f.broker.Addr()})
			// The next leader lookup opens it again.
			_ = f.broker.Close() // the connection is broken already
			continue
		}
		got, passing, err := r.deliver(ctx, f)
		if err != nil {
			return nil, progress, err
		}
		progress = progress || got
		if passing != nil {
			retry = passing
		}
	}
	return retry, progress, nil
}

func (r *reader) byLeader(open []*readPosition) ([]*leaderFetch, error) {
	var fetches []*leaderFetch
	var failed error
	at := map[int32]*leaderFetch{}
	for _, p := range open {
		leader, err := r.view.client.Leader(p.topic, p.partition)
		if err != nil {
			failed = fmt.Errorf("topic %q partition %d has no leader: %w", p.topic, p.partition, Explain(err, r.view.brokers))
			continue
		}
		f := at[leader.ID()]
		if f == nil {
			f = &leaderFetch{broker: leader}
			at[leader.ID()] = f
			fetches = append(fetches, f)
		}
		f.positions = append(f.positions, p)
	}
	return fetches, failed
}

func (r *reader) request(positions []*readPosition) *sarama.FetchRequest {
	req := &sarama.FetchRequest{
		Version: 11, MinBytes: 1, MaxWaitTime: fetchWaitMs, MaxBytes: fetchBytesMax,
		Isolation: r.options.Isolation, SessionEpoch: -1,
	}
	for _, p := range positions {
		req.AddBlock(p.topic, p.partition, p.next, fetchPartitionBytesMax, -1)
	}
	return req
}

// deliver hands on the records of one answer.
func (r *reader) deliver(ctx context.Context, f *leaderFetch) (progress bool, retry, err error) {
	for _, p := range f.positions {
		block := f.response.GetBlock(p.topic, p.partition)
		if block == nil {
			retry = fmt.Errorf("topic %q partition %d: %w", p.topic, p.partition, sarama.ErrIncompleteResponse)
			continue
		}
		switch {
		case errors.Is(block.Err, sarama.ErrNoError):
		case errors.Is(block.Err, sarama.ErrOffsetOutOfRange):
			if err := r.moveInside(p); err != nil {
				retry = err
			}
			continue
		case errors.Is(block.Err, sarama.ErrTopicAuthorizationFailed):
			return progress, nil, fmt.Errorf("topic %q: %w", p.topic, block.Err)
		default:
			retry = fmt.Errorf("topic %q partition %d: %w", p.topic, p.partition, block.Err)
			continue
		}
		before := p.next
		if err := r.block(ctx, p, block); err != nil {
			return progress, nil, err
		}
		progress = progress || p.next > before
	}
	if !progress && retry == nil {
		r.skipEmptyBatches(f)
	}
	return progress, retry, nil
}

// skipEmptyBatches steps over offsets whose batch has been compacted away to
// nothing: sarama drops such batches, and the same answer would come for ever.
// An answer without any record was not cut short by its size limit.
func (r *reader) skipEmptyBatches(f *leaderFetch) {
	for _, p := range f.positions {
		block := f.response.GetBlock(p.topic, p.partition)
		if block == nil {
			continue
		}
		end := block.HighWaterMarkOffset
		if r.options.Isolation == sarama.ReadCommitted {
			end = block.LastStableOffset
		}
		if p.next < end && len(block.RecordsSet) == 0 && !block.Partial {
			p.next++
		}
	}
}

// moveInside goes to the start of a log whose beginning has been deleted, or
// to the end of one that has become shorter.
func (r *reader) moveInside(p *readPosition) error {
	start, err := r.view.client.GetOffset(p.topic, p.partition, sarama.OffsetOldest)
	if err != nil {
		return Explain(err, r.view.brokers)
	}
	end, err := r.view.client.GetOffset(p.topic, p.partition, sarama.OffsetNewest)
	if err != nil {
		return Explain(err, r.view.brokers)
	}
	to := min(max(p.next, start), end)
	if r.options.Warn != nil && to != p.next {
		r.options.Warn(fmt.Errorf("topic %q partition %d: offset %d is not there any more; going on at %d", p.topic, p.partition, p.next, to))
	}
	p.next = to
	if p.until >= 0 {
		p.until = min(p.until, end)
	}
	return nil
}

func (r *reader) block(ctx context.Context, p *readPosition, block *sarama.FetchResponseBlock) error {
	aborted := newAbortedProducers(block.AbortedTransactions)
	for _, set := range block.RecordsSet {
		b := set.RecordBatch
		if b == nil {
			return fmt.Errorf("topic %q partition %d holds messages of a format before Kafka 0.11, which is not supported", p.topic, p.partition)
		}
		if b.PartialTrailingRecord && len(b.Records) == 0 {
			return nil
		}
		hidden := b.Control
		if r.options.Isolation == sarama.ReadCommitted {
			hidden = aborted.hides(b) || hidden
		}
		if !hidden {
			if err := r.batch(ctx, p, b); err != nil {
				return err
			}
		}
		if !b.PartialTrailingRecord {
			p.next = max(p.next, b.LastOffset()+1)
		}
		if p.done() {
			return nil
		}
	}
	return nil
}

func (r *reader) batch(ctx context.Context, p *readPosition, b *sarama.RecordBatch) error {
	for _, rec := range b.Records {
		offset := b.FirstOffset + rec.OffsetDelta
		if offset < p.next || (p.until >= 0 && offset >= p.until) {
			continue
		}
		at := b.FirstTimestamp.Add(rec.TimestampDelta)
		if b.LogAppendTime {
			at = b.MaxTimestamp
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.fn(Record{
			Topic: p.topic, Partition: p.partition, Offset: offset, Time: at,
			Key: rec.Key, Value: rec.Value, Headers: rec.Headers,
		})
		p.next = offset + 1
		if err != nil {
			return err
		}
	}
	return nil
}

// abortedProducers follows which producers' records belong to a transaction
// that was aborted, while batches are gone through in order (KIP-98).
type abortedProducers struct {
	pending []*sarama.AbortedTransaction
	active  map[int64]bool
}

func newAbortedProducers(list []*sarama.AbortedTransaction) *abortedProducers {
	return &abortedProducers{pending: list, active: map[int64]bool{}}
}

// hides reports whether the batch must not be shown to who reads committed
// records only, and takes note of abort markers.
func (a *abortedProducers) hides(b *sarama.RecordBatch) bool {
	rest := a.pending[:0:0]
	for _, t := range a.pending {
		if t.FirstOffset <= b.LastOffset() {
			a.active[t.ProducerID] = true
		} else {
			rest = append(rest, t)
		}
	}
	a.pending = rest
	if b.Control {
		if isAbortMarker(b) {
			delete(a.active, b.ProducerID)
		}
		return true
	}
	return b.IsTransactional && a.active[b.ProducerID]
}

// isAbortMarker reads the key of a control record: version, then type, where 0 is abort.
func isAbortMarker(b *sarama.RecordBatch) bool {
	return len(b.Records) > 0 && len(b.Records[0].Key) >= 4 && binary.BigEndian.Uint16(b.Records[0].Key[2:4]) == 0
}
