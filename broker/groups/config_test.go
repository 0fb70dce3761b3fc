package groups

import (
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/configs"
)

func TestConfigOf(t *testing.T) {
	if got, want := ConfigOf(configs.Broker{GroupInitialRebalanceDelay: configs.Duration(3 * time.Second)}), DefaultConfig(); got != want {
		t.Errorf("an empty configuration gives %+v", got)
	}
	b := configs.Default().Broker
	b.GroupSessionTimeoutMin, b.GroupSessionTimeoutMax = configs.Duration(time.Second), configs.Duration(time.Minute)
	b.GroupMembersMax, b.GroupsMax, b.OffsetMetadataMax = 7, 8, 9
	b.GroupConsumerSessionTimeout, b.GroupConsumerHeartbeatInterval, b.GroupMigrationPolicy = configs.Duration(time.Minute), configs.Duration(time.Second), "disabled"
	b.OffsetsRetention = configs.Duration(time.Hour)
	want := DefaultConfig()
	want.InitialRebalanceDelayMs = 100
	want.ConsumerSessionTimeoutMs, want.ConsumerHeartbeatIntervalMs, want.MigrationPolicy = 60_000, 1000, core.MigrationDisabled
	want.SessionTimeoutMinMs, want.SessionTimeoutMaxMs = 1000, 60_000
	want.GroupMembersMax, want.GroupsMax, want.OffsetMetadataBytesMax, want.OffsetsRetentionMs = 7, 8, 9, 3_600_000
	if got := ConfigOf(b); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestTimesBeyondTheProtocol: a limit of 30 days is no limit, and not the default of 30 minutes.
func TestTimesBeyondTheProtocol(t *testing.T) {
	c := ConfigOf(configs.Broker{GroupSessionTimeoutMin: configs.Duration(time.Second), GroupSessionTimeoutMax: configs.Duration(30 * 24 * time.Hour)})
	if c.SessionTimeoutMinMs != 1000 || c.SessionTimeoutMaxMs != math.MaxInt32 {
		t.Errorf("session timeouts from %d to %d ms", c.SessionTimeoutMinMs, c.SessionTimeoutMaxMs)
	}
}
