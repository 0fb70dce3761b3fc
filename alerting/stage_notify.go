package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/internal/consume"
)

// sender sends one alert to one place, once.
type sender interface {
	// send returns nil when the alert has arrived for good. line is the alert
	// as the topic holds it.
	send(ctx context.Context, a *Alert, line []byte) error
	// retryFor is how long send is tried again; 0 means without end.
	retryFor() time.Duration
	// parallel is the number of alerts that may be sent at the same time.
	parallel() int
	// recorded says that what was sent is to be recorded, because sending it
	// again would be noticed.
	recorded() bool
}

// Results of a delivery.
const (
	resultSent   = "sent"
	resultFailed = "failed"
	resultRetry  = "retry"
)

// Delivery says that a notifier is done with an alert, as it stands in the
// topic millrace.alert-deliveries.
type Delivery struct {
	// AlertID and Notifier say what was sent where.
	AlertID string `json:"alert_id"`
	// Notifier is its name in the configuration.
	Notifier string `json:"notifier"`
	// Result is sent or failed.
	Result string `json:"result"`
	// Error is the last one of a delivery that failed.
	Error string `json:"error,omitempty"`
	// Attempts that this process has made.
	Attempts int `json:"attempts"`
	// Time is when it was recorded.
	Time time.Time `json:"@timestamp"`
}

// notifyStage sends the alerts that name a notifier. Alerts are sent side by
// side; the offset that is committed is that of the first that is not done.
type notifyStage struct {
	notifier string
	// all says that every alert is sent, whether or not it names the notifier.
	all     bool
	sender  sender
	out     *writer
	limit   int
	logger  *slog.Logger
	metrics *metrics

	mu   sync.Mutex
	done recentIDs
}

// Setup learns which alerts are done.
func (s *notifyStage) Setup(ctx context.Context, client sarama.Client, _ map[string][]int32) error {
	s.mu.Lock()
	s.done = newRecentIDs(s.limit)
	s.mu.Unlock()
	if !s.sender.recorded() {
		return nil
	}
	return readToEnd(ctx, client, TopicDeliveries, time.Time{}, func(msg *sarama.ConsumerMessage) error {
		var d Delivery
		if err := json.Unmarshal(msg.Value, &d); err != nil {
			s.unreadable(msg, err)
			return nil
		}
		if id, err := window.ParseID(d.AlertID); err == nil && d.Notifier == s.notifier {
			s.take(id)
		}
		return nil
	})
}

// take reports whether the alert is new to this session, and remembers it.
func (s *notifyStage) take(id window.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done.add(id)
}

// Claim sends the alerts of one partition.
func (s *notifyStage) Claim(ctx context.Context, c consume.Claim) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	progress := newProgress(outstandingMax)
	slots := make(chan struct{}, max(1, s.sender.parallel()))
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	for {
		batch := c.NextBatch(ctx, batchRecordsMax)
		if batch == nil {
			return deliveryFailure(ctx)
		}
		for _, msg := range batch {
			if !progress.begin(ctx, msg.Offset) {
				return deliveryFailure(ctx)
			}
			finish := func() {
				if next, advanced := progress.finish(msg.Offset); advanced {
					c.Mark(next, "")
				}
			}
			a := s.wanted(msg)
			if a == nil {
				finish()
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return deliveryFailure(ctx)
			}
			deliveries.Go(func() {
				defer func() { <-slots }()
				switch err := s.deliver(ctx, a, msg.Value); {
				case err == nil:
					finish()
				case ctx.Err() == nil:
					cancel(err)
				}
			})
		}
	}
}

// deliveryFailure tells the end of a session from a failure to record.
func deliveryFailure(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// wanted returns the alert of a record, or nil where there is nothing to send.
func (s *notifyStage) wanted(msg *sarama.ConsumerMessage) *Alert {
	a, id, err := decodeAlert(msg.Value)
	if err != nil {
		s.unreadable(msg, err)
		return nil
	}
	named := s.all
	for _, n := range a.Notify {
		named = named || n == s.notifier
	}
	if !named || !s.take(id) {
		return nil
	}
	return a
}

// deliver sends the alert until it succeeds or its time is over, and records
// it. An error means that it is not done.
func (s *notifyStage) deliver(ctx context.Context, a *Alert, line []byte) error {
	began, b := time.Now(), consume.Backoff{}
	d := Delivery{AlertID: a.ID, Notifier: s.notifier, Result: resultSent}
	for d.Attempts = 1; ; d.Attempts++ {
		err := s.attempt(ctx, a, line)
		if err == nil {
			s.metrics.deliveries.WithLabelValues(s.notifier, resultSent).Inc()
			break
		}
		if d.Attempts == 1 {
			s.logger.Warn("an alert could not be sent and is tried again", "notifier", s.notifier, "alert", a.ID, "error", err)
		}
		if limit := s.sender.retryFor(); limit > 0 && time.Since(began) >= limit {
			s.metrics.deliveries.WithLabelValues(s.notifier, resultFailed).Inc()
			s.logger.Error("an alert was not delivered", "notifier", s.notifier, "alert", a.ID, "attempts", d.Attempts, "error", err)
			d.Result, d.Error = resultFailed, err.Error()
			break
		}
		s.metrics.deliveries.WithLabelValues(s.notifier, resultRetry).Inc()
		if !b.Wait(ctx) {
			return ctx.Err()
		}
	}
	return s.record(ctx, d)
}

// attempt sends once. A call that is under way when the session ends may end
// in its own time, so that its success is not forgotten.
func (s *notifyStage) attempt(ctx context.Context, a *Alert, line []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call, cancel := consume.WithGrace(ctx)
	defer cancel()
	return s.sender.send(call, a, line)
}

func (s *notifyStage) record(ctx context.Context, d Delivery) error {
	if !s.sender.recorded() {
		return nil
	}
	d.Time = time.Now().UTC()
	value, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("record delivery of alert %s: %w", d.AlertID, err)
	}
	key := d.AlertID + "/" + d.Notifier
	call, cancel := consume.WithGrace(ctx)
	defer cancel()
	err = s.out.write(call, []*sarama.ProducerMessage{{
		Topic: TopicDeliveries, Key: sarama.StringEncoder(key), Value: sarama.ByteEncoder(value), Metadata: key,
	}})
	if err != nil {
		return fmt.Errorf("record delivery of alert %s: %w", d.AlertID, err)
	}
	return nil
}

func (s *notifyStage) unreadable(msg *sarama.ConsumerMessage, err error) {
	s.metrics.unreadable.WithLabelValues(msg.Topic).Inc()
	s.logger.Warn("a record of Millrace's own topics is not readable and was left out",
		"topic", msg.Topic, "partition", msg.Partition, "offset", msg.Offset, "error", err)
}
