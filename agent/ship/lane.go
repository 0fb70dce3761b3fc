package ship

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/registry"
)

// flight is a planned batch that is not acknowledged.
type flight struct {
	plan batch.Plan
	// batch is nil where its bytes are gone: then it is in doubt.
	batch   *batch.Batch
	encoded *sarama.RecordBatch
	// Invariant: sent is true from AsyncProduce until its result is taken.
	sent  bool
	tried bool
	err   error
	acked bool
}

// result is the answer to one produce request.
type result struct {
	flight *flight
	conn   *sarama.Broker
	err    error
}

// lane is the way to one partition. Its goroutine owns all but queue and waiting.
type lane struct {
	s    *Shipper
	key  registry.LaneKey
	slot int
	name string

	mu      sync.Mutex
	queue   []*batch.Batch
	waiting int64 // bytes of queue and flights
	pending atomic.Int64
	wake    chan struct{}

	// Invariant: flights are in the order of their sequences, and at most
	// WindowMax of them have a batch.
	flights []*flight
	results chan result // room for every flight that is sent
	retry   backoff
	stalled bool
	checked bool // the cluster was asked about flights in doubt
	refused bool // it was said that the topic refuses the lines
}

func newLane(s *Shipper, key registry.LaneKey, slot int) *lane {
	return &lane{
		s: s, key: key, slot: slot, name: fmt.Sprintf("%s/%d", key.Topic, key.Partition),
		wake: make(chan struct{}, 1), results: make(chan result, 2*WindowMax), retry: backoff{max: s.o.BackoffMax},
	}
}

// enqueued counts work in and wakes the lane.
func (l *lane) enqueued(bytes int64) {
	l.mu.Lock()
	l.waiting += bytes
	l.pending.Store(int64(len(l.queue) + len(l.flights)))
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run ships until ctx ends.
func (l *lane) run(ctx context.Context) {
	defer l.collect()
	for ctx.Err() == nil {
		if err := l.advance(ctx); err != nil {
			// keepMetadata says why a topic is not there, refuse why it does not take the lines.
			if !errors.Is(err, errNoTopic) && !errors.Is(err, errRefused) {
				l.s.outage.fail(l.name, err)
			}
			l.s.askRefresh()
			if l.retry.wait(ctx) != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case r := <-l.results:
			l.take(r)
			for len(l.results) > 0 {
				l.take(<-l.results)
			}
		}
	}
}

// collect waits for the answers of all that is sent: callbacks must not find the lane gone. The shipper has closed
// the connections.
func (l *lane) collect() {
	for l.outstanding() > 0 {
		l.take(<-l.results)
	}
}

func (l *lane) outstanding() int {
	n := 0
	for _, f := range l.flights {
		if f.sent {
			n++
		}
	}
	return n
}

// advance does all that can be done without waiting for an answer. An error
// is worth a wait and another try.
func (l *lane) advance(ctx context.Context) error {
	if l.s.ending.Load() {
		return nil
	}
	if l.stalled {
		if l.outstanding() > 0 {
			return nil
		}
		if err := l.recover(ctx); err != nil {
			return err
		}
		l.stalled = false
	}
	for {
		if l.empty() {
			return nil
		}
		conn, topic, err := l.s.connection(l)
		if err != nil {
			return err
		}
		if err := l.ensureProducer(ctx, topic); err != nil {
			return err
		}
		if err := l.settleDoubts(ctx); err != nil {
			return err
		}
		if err := l.send(conn); err != nil {
			return err
		}
		planned, err := l.plan()
		if err != nil || planned == 0 {
			return err
		}
	}
}

func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flights) == 0 && len(l.queue) == 0
}

// ensureProducer takes a producer id where there is none, or where the topic
// or the cluster is another one than that of the lane's sequences.
func (l *lane) ensureProducer(ctx context.Context, t *Topic) error {
	state := l.s.o.Registry.Lane(l.key)
	same := state.Cluster == t.Cluster && state.TopicID == t.ID
	if state.ProducerID >= 0 && same {
		return nil
	}
	if l.outstanding() > 0 {
		l.stalled = true
		return nil
	}
	if state.ProducerID >= 0 && state.Cluster == t.Cluster && len(l.flights) > 0 {
		// The process before may have sent them to the new topic already, and not have seen the answer.
		if err := l.confirm(&state); err != nil {
			return err
		}
	}
	if state.ProducerID >= 0 {
		l.s.o.Logger.Warn("the topic is another one than before: its unacknowledged batches are sent again under a new producer id",
			"topic", l.key.Topic, "partition", l.key.Partition, "batches", len(l.flights))
	}
	return l.renew(ctx, t, "the topic or the cluster is another one than when the batch was planned")
}

// renew takes a new producer id and numbers the flights again, from sequence 0. Flights in doubt are lost.
// Nothing is outstanding.
func (l *lane) renew(ctx context.Context, t *Topic, reason string) error {
	id, epoch, err := l.s.cluster.producerID(ctx)
	if err != nil {
		return err
	}
	l.dropAcked()
	kept := make([]*flight, 0, len(l.flights))
	for _, f := range l.flights {
		if f.batch == nil {
			l.lose(f, "its bytes are gone, and the cluster does not have it: "+reason)
			continue
		}
		kept = append(kept, f)
	}
	l.setFlights(kept)
	return l.renumber(registry.Lane{LaneKey: l.key, Cluster: t.Cluster, TopicID: t.ID, ProducerID: id, Epoch: epoch}, 0)
}

// renumber journals the flights under the producer of state, from sequence
// first on, and makes that durable.
func (l *lane) renumber(state registry.Lane, first int32) error {
	state.Plans = nil
	next := first
	for _, f := range l.flights {
		f.plan.FirstSequence = next
		next = batch.AddSequence(next, f.plan.Records)
		state.Plans = append(state.Plans, f.plan)
	}
	state.NextSequence = next
	state, position := l.s.o.Registry.SetLane(state)
	for i, f := range l.flights {
		f.plan, f.tried, f.err = state.Plans[i], false, nil
		if f.encoded != nil {
			f.encoded.ProducerID, f.encoded.ProducerEpoch, f.encoded.FirstSequence = state.ProducerID, state.Epoch, f.plan.FirstSequence
		}
	}
	return l.s.o.Registry.Sync(position)
}

// lose gives a flight up.
func (l *lane) lose(f *flight, reason string) {
	l.s.o.Registry.Ack(l.key, f.plan.ID)
	bytes := 0
	if f.batch != nil {
		bytes = f.batch.Bytes()
	}
	l.mu.Lock()
	l.waiting -= int64(bytes)
	l.mu.Unlock()
	l.s.o.Observer.Lost(l.key, &f.plan, f.batch, reason)
}

// settleDoubts asks the cluster about flights whose bytes are gone, where
// nothing else in the lane can decide.
func (l *lane) settleDoubts(ctx context.Context) error {
	doubts := 0
	for _, f := range l.flights {
		if f.batch == nil {
			doubts++
		}
	}
	if doubts == 0 || l.checked {
		return nil
	}
	state := l.s.o.Registry.Lane(l.key)
	last, ok, err := l.s.cluster.lastSequence(l.key.Topic, l.key.Partition, state.ProducerID, state.Epoch)
	if err != nil {
		return err
	}
	l.checked = true
	if !ok {
		l.s.o.Logger.Warn("the bytes of unacknowledged batches are gone: the next batch of the partition tells whether the cluster has them",
			"topic", l.key.Topic, "partition", l.key.Partition, "batches", doubts)
		return nil
	}
	l.confirmTo(last)
	for _, f := range l.flights {
		if f.batch == nil {
			t, known := l.s.cluster.topic(l.key.Topic)
			if !known {
				return errNoTopic
			}
			// The flights after it cannot be in the log either.
			return l.renew(ctx, t, "the last sequence it has is an earlier one")
		}
	}
	return nil
}

// confirm asks the cluster for the last sequence of the lane's producer, and
// drops the flights that it has.
func (l *lane) confirm(state *registry.Lane) error {
	last, ok, err := l.s.cluster.lastSequence(l.key.Topic, l.key.Partition, state.ProducerID, state.Epoch)
	if ok {
		l.confirmTo(last)
	}
	return err
}

func (l *lane) confirmTo(last int32) {
	for _, f := range l.flights {
		end := batch.AddSequence(f.plan.FirstSequence, f.plan.Records-1)
		f.acked = f.acked || !f.sent && batch.SequenceReached(last, end)
	}
	l.dropAcked()
}

// plan journals waiting batches, as many as the window has room for, and makes the plans durable.
func (l *lane) plan() (int, error) {
	if l.stalled {
		return 0, nil
	}
	held := 0
	for _, f := range l.flights {
		if f.batch != nil {
			held++
		}
	}
	var position uint64
	planned := 0
	for ; held < WindowMax; held++ {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.mu.Unlock()
			break
		}
		b := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		p := b.Plan()
		p.CreatedMs = time.Now().UnixMilli()
		p, position = l.s.o.Registry.AddPlan(l.key, p)
		l.flights = append(l.flights, &flight{plan: p, batch: b})
		l.mu.Unlock()
		planned++
	}
	if planned == 0 {
		return 0, nil
	}
	return planned, l.s.o.Registry.Sync(position)
}

// send sends all flights that are not on their way, in order.
func (l *lane) send(conn *sarama.Broker) error {
	if l.stalled {
		return nil
	}
	// Plans of a Sync that failed are made durable first.
	if err := l.s.o.Registry.SyncPlans(); err != nil {
		return err
	}
	state := l.s.o.Registry.Lane(l.key)
	for _, f := range l.flights {
		if f.sent || f.acked || f.batch == nil {
			continue
		}
		if f.encoded == nil {
			f.encoded = f.batch.Encode(state.ProducerID, state.Epoch, f.plan.FirstSequence)
		}
		if f.tried {
			l.s.o.Observer.Retried(l.key)
		}
		f.sent, f.tried, f.err = true, true, nil
		l.s.inFlight.Add(1)
		if err := l.produce(conn, f); err != nil {
			l.s.inFlight.Add(-1)
			f.sent = false
			l.stalled = l.outstanding() > 0
			l.s.cluster.drop(conn)
			return err
		}
	}
	return nil
}

func (l *lane) produce(conn *sarama.Broker, f *flight) error {
	request := &sarama.ProduceRequest{
		Version: 9, RequiredAcks: sarama.WaitForAll, Timeout: int32(produceTimeout / time.Millisecond),
	}
	request.AddBatch(l.key.Topic, l.key.Partition, f.encoded)
	return conn.AsyncProduce(request, func(answer *sarama.ProduceResponse, err error) {
		if err == nil {
			block := answer.GetBlock(l.key.Topic, l.key.Partition)
			switch {
			case block == nil:
				err = errNoAnswer
			case !errors.Is(block.Err, sarama.ErrNoError):
				err = block.Err
			}
		}
		l.results <- result{f, conn, err}
	})
}

var errNoAnswer = errors.New("the answer does not name the partition")

// take notes an answer, and acknowledges what is done.
func (l *lane) take(r result) {
	r.flight.sent = false
	l.s.inFlight.Add(-1)
	if classify(orNone(r.err)) == done {
		r.flight.acked = true
		l.acknowledge(r.flight)
		return
	}
	r.flight.err = r.err
	l.stalled = true
	if isNetwork(r.err) {
		l.s.cluster.drop(r.conn)
	}
}

func orNone(err error) error {
	if err == nil {
		return sarama.ErrNoError
	}
	return err
}

// acknowledge drops the flights up to f, all of which the cluster has: it accepts a batch only after the one before.
func (l *lane) acknowledge(f *flight) {
	for i, have := range l.flights {
		if have != f {
			continue
		}
		for _, before := range l.flights[:i] {
			if before.batch != nil && !before.acked {
				return // its own answer is on the way
			}
		}
	}
	for i, have := range l.flights {
		if have.batch == nil && l.anyAcked(i) {
			have.acked = true
		}
	}
	l.dropAcked()
	l.retry.reset()
	l.s.outage.ok(l.name)
	if l.refused {
		l.refused = false
		l.s.o.Logger.Info("the topic takes the lines again", "topic", l.key.Topic, "partition", l.key.Partition)
	}
}

// dropAcked lets go of all flights that the cluster has.
func (l *lane) dropAcked() {
	var kept []*flight
	for _, f := range l.flights {
		if !f.acked {
			kept = append(kept, f)
			continue
		}
		l.s.o.Registry.Ack(l.key, f.plan.ID)
		if f.batch != nil {
			l.mu.Lock()
			l.waiting -= int64(f.batch.Bytes())
			l.mu.Unlock()
			l.s.o.Observer.Acked(f.batch)
		}
	}
	l.setFlights(kept)
}

// anyAcked reports whether a flight after n is acknowledged.
func (l *lane) anyAcked(n int) bool {
	for _, f := range l.flights[n+1:] {
		if f.acked {
			return true
		}
	}
	return false
}

func (l *lane) setFlights(flights []*flight) {
	l.mu.Lock()
	l.flights = flights
	l.pending.Store(int64(len(l.queue) + len(l.flights)))
	l.mu.Unlock()
}
