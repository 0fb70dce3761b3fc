package alerting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/record"
)

// ReadAlerts returns the alerts that were raised since a time (all with the zero
// time), oldest first, of more than limit the newest; limit 0 returns all. An
// alert that stands in the topic twice is returned once. A cluster without
// the topic has no alerts.
func ReadAlerts(ctx context.Context, k configs.Kafka, since time.Time, limit int) ([]Alert, error) {
	conf, err := kafka.ClientConfig(k)
	if err != nil {
		return nil, err
	}
	conf.Metadata.AllowAutoTopicCreation = false
	client, err := sarama.NewClient(k.Brokers, conf)
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	var alerts []Alert
	known := map[string]bool{}
	err = readToEnd(ctx, client, record.TopicAlerts, since, func(msg *sarama.ConsumerMessage) error {
		a, _, err := decodeAlert(msg.Value)
		if err != nil || known[a.ID] {
			return nil //nolint:nilerr // a record that is no alert is not listed
		}
		known[a.ID] = true
		alerts = append(alerts, *a)
		if limit > 0 && len(alerts) >= 2*limit+1000 {
			alerts = newest(alerts, limit)
		}
		return nil
	})
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = nil
	}
	if err = closing(err, client.Close); err != nil {
		return nil, err
	}
	return newest(alerts, limit), nil
}

// newest sorts by the time of raising and keeps the last limit.
func newest(alerts []Alert, limit int) []Alert {
	slices.SortStableFunc(alerts, func(a, b Alert) int {
		return cmp.Or(a.RaisedAt.Compare(b.RaisedAt), cmp.Compare(a.ID, b.ID))
	})
	if limit > 0 && len(alerts) > limit {
		alerts = slices.Clone(alerts[len(alerts)-limit:])
	}
	return alerts
}
