package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs/kafkaproperties"
)

// TestServerPropertiesKnowsAllTopicDefaults keeps the list of a package that
// cannot see this one's current.
func TestServerPropertiesKnowsAllTopicDefaults(t *testing.T) {
	var want []string
	for _, d := range topicDefaults() {
		if d.static == nil {
			want = append(want, d.name)
		}
	}
	slices.Sort(want)
	if got := kafkaproperties.TopicDefaults(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestDefaultsOfTopicConfigsFromTheConfiguration(t *testing.T) {
	cfg := testConfig()
	cfg.Configs = map[string]string{"log.message.timestamp.type": "LogAppendTime", "log.index.interval.bytes": "512"}
	n := startNode(t, t.TempDir(), cfg)
	createTopic(t, n, "t", 1, map[string]*string{"index.interval.bytes": new("1024")})
	topic := n.meta.Image().Topic("t")
	if got := n.logConfig(n.meta.Image(), topic); got.TimestampType != 1 || got.IndexIntervalBytes != 1024 {
		t.Errorf("config of the log %+v", got)
	}
	for _, c := range []struct{ key, value, want string }{
		{"log.index.interval.bytes", "many", "Not a number"},
		{"log.retention.ms", "1", "has a key of its own"},
		{"retention.ms", "1", "there is no default of a topic config named"},
	} {
		cfg.Configs = map[string]string{c.key: c.value}
		if _, err := New(cfg, Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
	}
}
