package consume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Topics chooses topics by their names.
func Topics(names ...string) func(topic string) bool {
	chosen := map[string]bool{}
	for _, n := range names {
		chosen[n] = true
	}
	return func(topic string) bool { return chosen[topic] }
}

// Patterns chooses topics by name, and by regular expression where an entry
// begins with ^. No expression chooses Millrace's own topics (millrace.…) or
// internal ones (__…).
func Patterns(topics []string) (func(topic string) bool, error) {
	var names []string
	var patterns []*regexp.Regexp
	for _, t := range topics {
		if !strings.HasPrefix(t, "^") {
			names = append(names, t)
			continue
		}
		p, err := regexp.Compile(t)
		if err != nil {
			return nil, fmt.Errorf("topic pattern %q: %w", t, err)
		}
		patterns = append(patterns, p)
	}
	named := Topics(names...)
	return func(topic string) bool {
		if named(topic) {
			return true
		}
		if strings.HasPrefix(topic, "millrace.") || strings.HasPrefix(topic, "__") {
			return false
		}
		for _, p := range patterns {
			if p.MatchString(topic) {
				return true
			}
		}
		return false
	}, nil
}

// List returns the chosen topics that exist, with their number of partitions.
func List(client sarama.Client, chosen func(topic string) bool) (map[string]int, error) {
	if err := client.RefreshMetadata(); err != nil {
		return nil, err
	}
	all, err := client.Topics()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, topic := range all {
		if !chosen(topic) {
			continue
		}
		partitions, err := client.Partitions(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[topic] = len(partitions)
	}
	return found, nil
}

func (m *Member) pollInterval() time.Duration {
	if m.PollInterval > 0 {
		return m.PollInterval
	}
	return pollIntervalDefault
}

// awaitTopics returns the chosen topics as soon as there is one.
func (m *Member) awaitTopics(ctx context.Context) (map[string]int, error) {
	for {
		found, err := List(m.client, m.Chosen)
		if err != nil || len(found) > 0 {
			return found, err
		}
		if !Pause(ctx, m.pollInterval()) {
			return nil, ctx.Err()
		}
	}
}

// topicsChanged returns when the chosen topics are not the given ones any
// more, or when ctx ends.
func (m *Member) topicsChanged(ctx context.Context, have map[string]int) {
	for Pause(ctx, m.pollInterval()) {
		if found, err := List(m.client, m.Chosen); err == nil && !maps.Equal(found, have) {
			return
		}
	}
}
