package pipelines

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/internal/event"
)

// handler processes the partitions that the group gives to this process.
type handler struct {
	runner *runner
	// onStart is called when a session has begun: the cluster is there.
	onStart func()
}

// Setup implements [sarama.ConsumerGroupHandler].
func (h *handler) Setup(sarama.ConsumerGroupSession) error {
	h.onStart()
	return nil
}

// Cleanup implements [sarama.ConsumerGroupHandler].
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim reads one partition until it is given up, and then waits until
// its documents are acknowledged, so that sarama commits all of them; for at
// most drainTimeout, since the next owner waits.
func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	r := h.runner
	topic, partition := claim.Topic(), claim.Partition()
	pos := r.positions.add(topic, partition, claim.InitialOffset())
	p := newProgress(func(next int64) {
		session.MarkOffset(topic, partition, next, "")
		pos.set(next)
	})
	defer p.close()
	defer r.metrics.forgetLag(topic, partition)
	defer r.positions.remove(pos)
	r.readClaim(session.Context(), claim, p)
	r.drain(p)
	return nil
}

// readClaim makes documents of the partition's records until it is given up.
func (r *runner) readClaim(ctx context.Context, claim sarama.ConsumerGroupClaim, p *progress) {
	var body []byte
	for msg := range claim.Messages() {
		if ctx.Err() != nil {
			return
		}
		r.metrics.read.Inc()
		ev := event.FromMessage(msg, time.Now())
		if r.chain.Process(ev) {
			r.metrics.dropped.Inc()
			p.skip(msg.Offset)
			continue
		}
		if ev.Failed() {
			r.metrics.failed.Inc()
		}
		body = ev.AppendJSON(body[:0])
		d := document{index: ev.IndexName(r.output.Index), id: ev.DocumentID(), body: body, msg: msg}
		if r.batcher.add(ctx, p, d) != nil {
			return
		}
	}
}

func (r *runner) drain(p *progress) {
	r.batcher.flush(0)
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-p.drained():
	case <-timer.C:
		r.logger.Warn("partition given up before its last documents were acknowledged, they will be read again")
	}
}

// position is how far a partition of this process is indexed.
type position struct {
	topic     string
	partition int32
	mu        sync.Mutex
	next      int64
}

func (p *position) set(next int64) {
	p.mu.Lock()
	p.next = next
	p.mu.Unlock()
}

func (p *position) get() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// positions are those of all partitions that this process has.
type positions struct {
	mu  sync.Mutex
	all map[*position]struct{}
}

func (s *positions) add(topic string, partition int32, next int64) *position {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &position{topic: topic, partition: partition, next: next}
	if s.all == nil {
		s.all = map[*position]struct{}{}
	}
	s.all[p] = struct{}{}
	return p
}

func (s *positions) remove(p *position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, p)
}

func (s *positions) list() []*position {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*position, 0, len(s.all))
	for p := range s.all {
		out = append(out, p)
	}
	return out
}
