package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/record"
)

// windowStage counts matches and raises alerts. Each partition's state is made
// in Setup from what the cluster holds, and lives for one session.
type windowStage struct {
	out     *writer
	limits  window.Limits
	logger  *slog.Logger
	metrics *metrics
	// states are those of the current session. Written by Setup only, which
	// ends before the first claim begins.
	states map[int32]*window.State
}

// Setup makes the states: each begins at the committed place, and knows all
// alerts of its keys that were raised before.
func (s *windowStage) Setup(ctx context.Context, client sarama.Client, claims map[string][]int32) error {
	clocks, err := committedClocks(client, claims[record.TopicAlertMatches])
	if err != nil {
		return err
	}
	s.states = make(map[int32]*window.State, len(clocks))
	for p, at := range clocks {
		s.states[p] = window.New(s.limits, at)
	}
	partitions, err := client.Partitions(record.TopicAlertMatches)
	if err != nil {
		return fmt.Errorf("count the partitions of the matches: %w", err)
	}
	return readToEnd(ctx, client, record.TopicAlerts, time.Time{}, func(msg *sarama.ConsumerMessage) error {
		a, id, err := decodeAlert(msg.Value)
		if err != nil {
			s.unreadable(msg, err)
			return nil
		}
		if state := s.states[partitionOf(a.Key, int32(len(partitions)))]; state != nil {
			state.Know(id, a.Key, window.Cover{FromMs: a.CoverFromMs, ToMs: a.CoverToMs})
		}
		return nil
	})
}

// committedClocks reads the group's commits, with the clock in their metadata.
func committedClocks(client sarama.Client, partitions []int32) (map[int32]window.Position, error) {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, fmt.Errorf("read commits: %w", err)
	}
	got, err := admin.ListConsumerGroupOffsets(groupWindows, map[string][]int32{record.TopicAlertMatches: partitions})
	if err != nil {
		return nil, fmt.Errorf("read commits: %w", err)
	}
	at := make(map[int32]window.Position, len(partitions))
	for _, p := range partitions {
		b := got.GetBlock(record.TopicAlertMatches, p)
		switch {
		case b == nil:
			return nil, fmt.Errorf("read commits: no answer for partition %d", p)
		case !errors.Is(b.Err, sarama.ErrNoError):
			return nil, fmt.Errorf("read commits: partition %d: %w", p, b.Err)
		}
		at[p] = window.Position{Offset: b.Offset, ClockMs: clockOf(b.Metadata)}
	}
	return at, nil
}

// commitMetadata holds the window's clock beside the committed offset.
type commitMetadata struct {
	ClockMs int64 `json:"clock_ms"`
}

func metadataOf(at window.Position) string { return fmt.Sprintf(`{"clock_ms":%d}`, at.ClockMs) }

// clockOf reads the metadata; a commit that was made by something else (a
// reset of the group's offsets) has none, and the clock begins again.
func clockOf(metadata string) int64 {
	var m commitMetadata
	if err := json.Unmarshal([]byte(metadata), &m); err != nil {
		return 0
	}
	return m.ClockMs
}

// Claim counts the matches of one partition.
func (s *windowStage) Claim(ctx context.Context, c consume.Claim) error {
	state := s.states[c.Partition()]
	if state == nil {
		return errors.New("the partition has no state")
	}
	label := strconv.Itoa(int(c.Partition()))
	defer s.metrics.waiting.DeleteLabelValues(label)
	defer s.metrics.remembered.DeleteLabelValues(label)
	var dropped window.Dropped
	for {
		batch := c.NextBatch(ctx, batchRecordsMax)
		if batch == nil {
			return nil
		}
		if err := s.raise(ctx, s.step(state, batch)); err != nil {
			return err
		}
		at := state.Position()
		c.Mark(at.Offset, metadataOf(at))
		s.metrics.waiting.WithLabelValues(label).Set(float64(state.Waiting()))
		s.metrics.remembered.WithLabelValues(label).Set(float64(state.Remembered()))
		dropped = s.reportDropped(state.Dropped(), dropped, c.Partition())
	}
}

// step gives the matches to the state and returns the alerts, in order.
func (s *windowStage) step(state *window.State, batch []*sarama.ConsumerMessage) []*Alert {
	var alerts []*Alert
	for _, msg := range batch {
		m, err := decodeMatch(msg.Value)
		if err != nil {
			s.unreadable(msg, err)
			continue
		}
		raised, outcome := state.Step(m.windowMatch(msg.Offset, msg.Timestamp))
		s.metrics.outcomes.WithLabelValues(outcome.String()).Inc()
		if outcome == window.Alerted {
			alerts = append(alerts, newAlert(m, raised, msg.Timestamp))
		}
	}
	return alerts
}

// raise writes the alerts. Two of one key are never under way together, so that
// a later one is in the topic only where the earlier one is.
func (s *windowStage) raise(ctx context.Context, alerts []*Alert) error {
	pending := map[string]*Alert{}
	flush := func() error {
		records := make([]*sarama.ProducerMessage, 0, len(pending))
		for _, a := range pending {
			value, err := json.Marshal(a)
			if err != nil {
				return fmt.Errorf("write alert %s: %w", a.ID, err)
			}
			records = append(records, &sarama.ProducerMessage{
				Topic: record.TopicAlerts, Key: sarama.StringEncoder(a.ID), Value: sarama.ByteEncoder(value),
				Metadata: a.Key,
			})
		}
		if err := s.out.write(ctx, records); err != nil {
			return fmt.Errorf("write alerts: %w", err)
		}
		for a := range maps.Values(pending) {
			s.metrics.raised.WithLabelValues(a.Pipeline, a.Rule).Inc()
			s.logger.Info("alert raised", "alert", a.ID, "pipeline", a.Pipeline, "rule", a.Rule, "summary", a.Summary)
		}
		clear(pending)
		return nil
	}
	for _, a := range alerts {
		if pending[a.Key] != nil {
			if err := flush(); err != nil {
				return err
			}
		}
		pending[a.Key] = a
	}
	return flush()
}

func (s *windowStage) unreadable(msg *sarama.ConsumerMessage, err error) {
	s.metrics.unreadable.WithLabelValues(msg.Topic).Inc()
	s.logger.Warn("a record of Millrace's own topics is not readable and was left out",
		"topic", msg.Topic, "partition", msg.Partition, "offset", msg.Offset, "error", err)
}

func (s *windowStage) reportDropped(now, before window.Dropped, partition int32) window.Dropped {
	if now.Events > before.Events {
		s.metrics.dropped.WithLabelValues("waiting_event").Add(float64(now.Events - before.Events))
		if before.Events == 0 {
			s.logger.Warn("more events wait for others of their window than alerting.waiting_events_max allows: the oldest are not counted",
				"partition", partition, "limit", s.limits.EventsMax)
		}
	}
	if now.Alerts > before.Alerts {
		s.metrics.dropped.WithLabelValues("remembered_alert").Add(float64(now.Alerts - before.Alerts))
	}
	return now
}

// decodeAlert reads a record of the alerts topic.
func decodeAlert(value []byte) (*Alert, window.ID, error) {
	a := &Alert{}
	if err := json.Unmarshal(value, a); err != nil {
		return nil, window.ID{}, fmt.Errorf("read alert: %w", err)
	}
	id, err := window.ParseID(a.ID)
	if err != nil {
		return nil, window.ID{}, fmt.Errorf("read alert: %w", err)
	}
	return a, id, nil
}
