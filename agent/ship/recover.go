package ship

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/registry"
)

// recover is called after an error, when nothing is outstanding. It decides by the oldest flight that failed; what
// came after it could not have been accepted.
func (l *lane) recover(ctx context.Context) error {
	var f *flight
	for _, have := range l.flights {
		if have.batch != nil && !have.acked {
			f = have
			break
		}
	}
	if f == nil || f.err == nil {
		return nil
	}
	err := f.err
	f.err = nil
	switch classify(err) {
	case done:
		return nil
	case renew:
		return l.renewAfter(ctx, err)
	case smaller:
		return l.smaller(ctx, f)
	case restamp:
		if f.batch.Restamp(time.Now().UnixMilli()) {
			return l.replan(f)
		}
		return err
	case refused:
		return l.refuse(f, err)
	default:
		return err
	}
}

// errRefused: the topic does not take the batch as it is; the lane has said so.
var errRefused = errors.New("the topic refuses the batch")

// refuse says once, until a batch of the lane is acknowledged, that the topic does not take records as the agent makes
// them. Nothing is given up: an operator can change the topic, and the same bytes are sent again until then.
func (l *lane) refuse(f *flight, cause error) error {
	l.s.outage.ok(l.name) // the cluster is there
	if !l.refused {
		l.refused = true
		path, files := l.files(&f.plan)
		l.s.o.Logger.Error("the topic refuses the lines as invalid records: they are kept and sent again until it takes them. "+
			"Records have no key, which a compacted topic wants: set its cleanup.policy to delete, or send the file to another topic",
			"topic", l.key.Topic, "partition", l.key.Partition, "path", path, "files", files, "lines", f.plan.Records, "error", cause)
	}
	return errRefused
}

// files returns the path of the file that a plan's first line is from, and of how many files it has lines.
func (l *lane) files(p *batch.Plan) (first string, count int) {
	seen := map[uint64]bool{}
	for _, seg := range p.Segments {
		seen[seg.File] = true
	}
	if len(p.Segments) > 0 {
		f, _ := l.s.o.Registry.File(p.Segments[0].File)
		first = f.Path
	}
	return first, len(seen)
}

// renewAfter takes a new producer id after the oldest batch was refused for its sequence. Before that the
// cluster is asked: a restarted Apache Kafka remembers only the last batch of a producer, and refuses the four before it
// although it has them.
func (l *lane) renewAfter(ctx context.Context, cause error) error {
	t, ok := l.s.cluster.topic(l.key.Topic)
	if !ok {
		return errNoTopic
	}
	state := l.s.o.Registry.Lane(l.key)
	before := len(l.flights)
	if err := l.confirm(&state); err != nil {
		return err
	}
	if len(l.flights) < before {
		return nil // it goes on where the cluster is
	}
	l.s.o.Logger.Warn("the cluster does not go on with the producer's sequences: a new producer id is taken",
		"topic", l.key.Topic, "partition", l.key.Partition, "error", cause)
	return l.renew(ctx, t, cause.Error())
}

// smaller splits the batch in two, or cuts its only record. The number of records stays
// the same, so the sequences of the flights after it stay right.
func (l *lane) smaller(ctx context.Context, f *flight) error {
	if f.batch.Len() > 1 {
		first, second := f.batch.Split()
		var flights []*flight
		for _, have := range l.flights {
			if have != f {
				flights = append(flights, have)
				continue
			}
			a, b := first.Plan(), second.Plan()
			a.CreatedMs, b.CreatedMs = f.plan.CreatedMs, f.plan.CreatedMs
			flights = append(flights, &flight{plan: a, batch: first}, &flight{plan: b, batch: second})
		}
		l.mu.Lock()
		l.waiting += int64(first.Bytes() + second.Bytes() - f.batch.Bytes())
		l.mu.Unlock()
		l.setFlights(flights)
		l.s.o.Observer.Split(f.batch, first, second)
		return l.rejournal()
	}
	before := f.batch.Bytes()
	if f.batch.Shrink() {
		l.mu.Lock()
		l.waiting += int64(f.batch.Bytes() - before)
		l.mu.Unlock()
		l.s.o.Observer.Cut(l.key)
		return l.replan(f)
	}
	t, ok := l.s.cluster.topic(l.key.Topic)
	if !ok {
		return errNoTopic
	}
	l.lose(f, "the cluster finds it too large however short it is cut")
	var kept []*flight
	for _, have := range l.flights {
		if have != f {
			kept = append(kept, have)
		}
	}
	l.setFlights(kept)
	return l.renew(ctx, t, sarama.ErrMessageSizeTooLarge.Error())
}

// replan journals a flight whose batch was changed.
func (l *lane) replan(f *flight) error {
	p := f.batch.Plan()
	f.plan.Segments, f.encoded = p.Segments, nil
	return l.rejournal()
}

// rejournal writes the lane with its flights as they are now, under the same
// producer and sequences.
func (l *lane) rejournal() error {
	state := l.s.o.Registry.Lane(l.key)
	first := state.NextSequence
	if len(state.Plans) > 0 {
		first = state.Plans[0].FirstSequence
	}
	return l.renumber(registry.Lane{
		LaneKey: l.key, Cluster: state.Cluster, TopicID: state.TopicID, ProducerID: state.ProducerID, Epoch: state.Epoch,
	}, first)
}
