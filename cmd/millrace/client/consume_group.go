package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
)

// commitInterval is the time between two commits of what has been printed.
const commitInterval = time.Second

// consumeGroup reads as a member of a consumer group. Offsets are committed
// only after the records before them have been written to standard output.
func consumeGroup(g *Globals, cmd *cobra.Command, topic string, o *consumeOptions, out *recordWriter) error {
	k, c, err := g.sarama()
	if err != nil {
		return err
	}
	groupConfig(c, o)
	view, err := clusterview.OpenConfig(k.Brokers, c)
	if err != nil {
		return err
	}
	if _, err := view.Topics(topic); err != nil {
		return errors.Join(err, view.Close())
	}
	member, err := sarama.NewConsumerGroup(k.Brokers, o.group, c)
	if err != nil {
		return errors.Join(clusterview.Explain(err, k.Brokers), view.Close())
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	h := &groupHandler{view: view, options: o, out: out, warn: warner(cmd), stop: cancel}
	var wg sync.WaitGroup
	wg.Go(func() {
		for err := range member.Errors() {
			h.fail(fmt.Errorf("consumer group %q: %w", o.group, clusterview.Explain(err, k.Brokers)))
		}
	})
	for ctx.Err() == nil {
		if err := member.Consume(ctx, []string{topic}, h); err != nil && ctx.Err() == nil {
			h.fail(fmt.Errorf("consumer group %q: %w", o.group, clusterview.Explain(err, k.Brokers)))
		}
	}
	closeErr := member.Close()
	wg.Wait()
	return errors.Join(h.err(), closeErr, view.Close())
}

func groupConfig(c *sarama.Config, o *consumeOptions) {
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Offsets.Retry.Max = 5
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	if o.position.Kind == clusterview.PositionEnd {
		c.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	c.Consumer.IsolationLevel = o.isolation()
	// Records are read by clusterview, which knows where the end is; what
	// sarama fetches beside it is kept small.
	c.Consumer.Fetch.Default = 1
	c.ChannelBufferSize = 1
}

// groupHandler prints the partitions of one member. It ends the member when
// enough has been printed or all its partitions are at their end.
type groupHandler struct {
	view    *clusterview.View
	options *consumeOptions
	out     *recordWriter
	warn    func(error)
	stop    context.CancelFunc

	mu      sync.Mutex
	open    int // claims of this session that are not at their end
	failure error
}

func (h *groupHandler) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure == nil {
		h.failure = err
	}
	h.stop()
}

func (h *groupHandler) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure
}

// Setup counts the partitions of a new session.
func (h *groupHandler) Setup(s sarama.ConsumerGroupSession) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = 0
	for _, partitions := range s.Claims() {
		h.open += len(partitions)
	}
	if h.open == 0 && !h.options.follow {
		h.warn(fmt.Errorf("other members of group %q have all partitions", h.options.group))
		h.stop()
	}
	return nil
}

// Cleanup commits what was printed before the partitions go to somebody else.
func (h *groupHandler) Cleanup(s sarama.ConsumerGroupSession) error {
	if err := h.out.flush(); err != nil {
		return err
	}
	s.Commit()
	return nil
}

// ConsumeClaim prints one partition.
func (h *groupHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	read, err := h.readOptions(claim)
	if err != nil {
		h.fail(err)
		return nil
	}
	committed := time.Now()
	err = h.view.Read(s.Context(), read, func(r clusterview.Record) error {
		printed, err := h.out.write(r)
		if printed {
			s.MarkOffset(r.Topic, r.Partition, r.Offset+1, "")
		}
		if err != nil {
			return err
		}
		if time.Since(committed) < commitInterval {
			return nil
		}
		committed = time.Now()
		if err := h.out.flush(); err != nil {
			return err
		}
		s.Commit()
		return nil
	})
	switch {
	case err != nil:
		h.fail(err)
	case s.Context().Err() == nil:
		h.finished(s, read, claim)
	}
	return nil
}

func (h *groupHandler) readOptions(claim sarama.ConsumerGroupClaim) (clusterview.ReadOptions, error) {
	read := clusterview.ReadOptions{Isolation: h.options.isolation(), Warn: h.warn}
	topics, err := h.view.Topics(claim.Topic())
	if err != nil {
		return read, err
	}
	at := clusterview.Position{Kind: clusterview.PositionOffset, Offset: claim.InitialOffset()}
	switch claim.InitialOffset() {
	case sarama.OffsetOldest:
		at = clusterview.Position{Kind: clusterview.PositionStart}
	case sarama.OffsetNewest:
		at = clusterview.Position{Kind: clusterview.PositionEnd}
	}
	resolve := func(at clusterview.Position) ([]clusterview.Resolved, error) {
		list, err := h.view.Resolve(topics, at, h.options.isolation())
		if err != nil {
			return nil, err
		}
		return onlyPartitions(list, []int32{claim.Partition()})
	}
	if read.From, err = resolve(at); err != nil {
		return read, err
	}
	if !h.options.follow {
		read.Until, err = resolve(clusterview.Position{Kind: clusterview.PositionEnd})
	}
	return read, err
}

// finished takes note of a partition that is at its end, or of enough records.
func (h *groupHandler) finished(s sarama.ConsumerGroupSession, read clusterview.ReadOptions, claim sarama.ConsumerGroupClaim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	enough := h.out.enough()
	if read.Until != nil && !enough {
		s.MarkOffset(claim.Topic(), claim.Partition(), read.Until[0].Offset, "")
	}
	if h.open--; h.open == 0 || enough {
		h.stop()
	}
}
