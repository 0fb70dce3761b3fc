package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
)

// WindowMax is the number of batches of a partition that may be
// unacknowledged: Kafka remembers that many per producer id.
const WindowMax = 5

const (
	refreshInterval = 30 * time.Second
	produceTimeout  = 20 * time.Second
	openRequestsMax = 256
)

// Observer is told what becomes of batches. Its methods are called by the
// lanes' goroutines and must not block.
type Observer interface {
	// Acked: the cluster has the batch; its memory may be used again.
	Acked(b *batch.Batch)
	// Lost: the plan is given up; held is nil where its bytes were gone, and is not acked afterwards.
	Lost(key registry.LaneKey, p *batch.Plan, held *batch.Batch, reason string)
	// Cut: a record was cut because the cluster found it too large.
	Cut(key registry.LaneKey)
	// Split: a batch is replaced by two with the same records.
	Split(b, first, second *batch.Batch)
	// Retried: a batch was sent again.
	Retried(key registry.LaneKey)
}

// Options of a shipper.
type Options struct {
	Kafka      configs.Kafka
	Registry   *registry.Registry
	Logger     *slog.Logger
	Observer   Observer
	BackoffMax time.Duration
	// LaneMax bounds the bytes that wait in one lane.
	LaneMax int64
}

// Shipper sends batches to all partitions.
type Shipper struct {
	o        Options
	cluster  *cluster
	dial     *dialer
	outage   *outage
	slots    int
	ending   atomic.Bool   // nothing more is sent
	inFlight atomic.Int64  // requests without an answer
	known    chan struct{} // a topic has become known, or has more partitions
	fatal    chan error

	mu      sync.Mutex
	names   map[string]bool
	lanes   map[registry.LaneKey]*lane
	fresh   []*lane // not started yet
	refresh chan struct{}
	started chan struct{} // there are fresh lanes
	wg      sync.WaitGroup
}

// ErrPartitions is returned by Run when a topic has fewer partitions than the registry's lanes:
// it was deleted and created anew. The registry has been rewound; start again.
var ErrPartitions = errors.New("a topic has fewer partitions than before")

// New returns a shipper that has not connected yet.
func New(o Options) (*Shipper, error) {
	config, err := kafka.ClientConfig(o.Kafka)
	if err != nil {
		return nil, err
	}
	config.Net.MaxOpenRequests = openRequestsMax
	config.Net.ReadTimeout = 2 * produceTimeout
	dial := &dialer{stop: make(chan struct{}), net: net.Dialer{Timeout: config.Net.DialTimeout, KeepAlive: config.Net.KeepAlive}}
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, dial
	return &Shipper{
		o: o, dial: dial, cluster: newCluster(o.Kafka, config), outage: newOutage(o.Logger),
		slots: min(max(runtime.GOMAXPROCS(0), 1), 4), known: make(chan struct{}, 1), fatal: make(chan error, 1),
		names: map[string]bool{}, lanes: map[registry.LaneKey]*lane{}, refresh: make(chan struct{}, 1), started: make(chan struct{}, 1),
	}, nil
}

// Known receives after a topic has become known. It has room for one signal.
func (s *Shipper) Known() <-chan struct{} { return s.known }

// Want asks for a topic; it is created where it is missing.
func (s *Shipper) Want(topic string) {
	s.mu.Lock()
	have := s.names[topic]
	s.names[topic] = true
	s.mu.Unlock()
	if !have {
		s.askRefresh()
	}
}

// Partitions returns the number of partitions of a topic; 0 while it is not known.
func (s *Shipper) Partitions(topic string) int {
	t, ok := s.cluster.topic(topic)
	if !ok {
		return 0
	}
	return len(t.Leaders)
}

// Restore hands over the batches of a lane's plans, as the registry holds them at the start; nil stands
// for a batch that could not be rebuilt. It is called before Run.
func (s *Shipper) Restore(state registry.Lane, batches []*batch.Batch) {
	l := s.lane(state.LaneKey)
	bytes := 0
	for i, p := range state.Plans {
		l.flights = append(l.flights, &flight{plan: p, batch: batches[i]})
		if batches[i] != nil {
			bytes += batches[i].Bytes()
		}
	}
	l.enqueued(int64(bytes))
}

// Room reports whether the lane takes another batch now.
func (s *Shipper) Room(key registry.LaneKey) bool {
	l := s.lane(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting < s.o.LaneMax
}

// Busy reports whether batches of the lane wait for others to be acknowledged.
func (s *Shipper) Busy(key registry.LaneKey) bool {
	l := s.lane(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) > 0
}

// Submit takes a batch over. The lane sends it after all that it has.
func (s *Shipper) Submit(key registry.LaneKey, b *batch.Batch) {
	l := s.lane(key)
	l.mu.Lock()
	l.queue = append(l.queue, b)
	l.mu.Unlock()
	l.enqueued(int64(b.Bytes()))
}

// lane returns the lane; Run starts it.
func (s *Shipper) lane(key registry.LaneKey) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[key]
	if l == nil {
		l = newLane(s, key, len(s.lanes)%s.slots)
		s.lanes[key] = l
		s.fresh = append(s.fresh, l)
		select {
		case s.started <- struct{}{}:
		default:
		}
	}
	return l
}

// Run connects and ships until ctx ends. Batches that are not acknowledged by
// then are sent by the next process.
func (s *Shipper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.wg.Go(func() { s.keepMetadata(ctx) })
	var err error
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case err = <-s.fatal:
			s.settle(ctx)
		case <-s.started:
			s.mu.Lock()
			fresh := s.fresh
			s.fresh = nil
			s.mu.Unlock()
			for _, l := range fresh {
				s.wg.Go(func() { l.run(ctx) })
			}
		}
	}
	cancel()
	close(s.dial.stop)
	s.cluster.close()
	s.wg.Wait()
	return err
}

// settleFor bounds the wait for the answers to what was sent.
const settleFor = 5 * time.Second

// settle sends nothing more, and waits for the answers to what was sent.
func (s *Shipper) settle(ctx context.Context) {
	s.ending.Store(true)
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.inFlight.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Drained waits until every lane is empty, or ctx ends.
func (s *Shipper) Drained(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !s.idle() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (s *Shipper) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		if l.pending.Load() != 0 {
			return false
		}
	}
	return true
}

func (s *Shipper) askRefresh() {
	select {
	case s.refresh <- struct{}{}:
	default:
	}
}

// keepMetadata refreshes the metadata on request and from time to time, and while topics are missing.
func (s *Shipper) keepMetadata(ctx context.Context) {
	retry := backoff{max: s.o.BackoffMax}
	for ctx.Err() == nil {
		if names := s.wanted(); len(names) > 0 {
			err := s.cluster.refresh(ctx, names)
			if ctx.Err() != nil {
				return
			}
			s.learned()
			if err != nil {
				// A topic that was just created is no outage.
				if !errors.Is(err, errNoTopic) || retry.next > time.Second {
					s.outage.fail("metadata", err)
				}
				if retry.wait(ctx) != nil {
					return
				}
				continue
			}
			s.outage.ok("metadata")
			retry.reset()
		}
		timer := time.NewTimer(refreshInterval)
		select {
		case <-ctx.Done():
		case <-s.refresh:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Shipper) wanted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.names {
		names = append(names, name)
	}
	return names
}

// learned looks at the new metadata.
func (s *Shipper) learned() {
	for _, name := range s.wanted() {
		n := s.Partitions(name)
		if n == 0 {
			continue
		}
		if s.o.Registry.Rewind(name, int32(n)) {
			select {
			case s.fatal <- fmt.Errorf("topic %s has %d partitions now: %w", name, n, ErrPartitions):
			default:
			}
		}
	}
	select {
	case s.known <- struct{}{}:
	default:
	}
}

// connection returns the leader's connection for a lane, after checking that
// the topic is still the one of the lane's producer.
func (s *Shipper) connection(l *lane) (*sarama.Broker, *Topic, error) {
	t, ok := s.cluster.topic(l.key.Topic)
	if !ok {
		s.Want(l.key.Topic)
		return nil, nil, errNoTopic
	}
	b, err := s.cluster.leader(l.key.Topic, l.key.Partition, l.slot)
	return b, t, err
}

// dialer connects until stop is closed.
type dialer struct {
	stop chan struct{}
	net  net.Dialer
}

// Dial is called by sarama.
func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-d.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return d.net.DialContext(ctx, network, addr)
}
