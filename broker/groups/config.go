package groups

import (
	"math"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/configs"
)

// ConfigOf returns the configuration of groups that a broker's says; what is 0
// there, except the rebalance delay, is Apache Kafka's default.
func ConfigOf(b configs.Broker) Config {
	c := DefaultConfig()
	c.InitialRebalanceDelayMs = millis(b.GroupInitialRebalanceDelay)
	c.SessionTimeoutMinMs = positive(millis(b.GroupSessionTimeoutMin), c.SessionTimeoutMinMs)
	c.SessionTimeoutMaxMs = positive(millis(b.GroupSessionTimeoutMax), c.SessionTimeoutMaxMs)
	c.GroupMembersMax = positive(b.GroupMembersMax, c.GroupMembersMax)
	c.GroupsMax = positive(b.GroupsMax, c.GroupsMax)
	c.OffsetsRetentionMs = positive(b.OffsetsRetention.D().Milliseconds(), c.OffsetsRetentionMs)
	c.ConsumerSessionTimeoutMs = positive(millis(b.GroupConsumerSessionTimeout), c.ConsumerSessionTimeoutMs)
	c.ConsumerHeartbeatIntervalMs = positive(millis(b.GroupConsumerHeartbeatInterval), c.ConsumerHeartbeatIntervalMs)
	if b.GroupMigrationPolicy != "" {
		c.MigrationPolicy = core.MigrationPolicy(b.GroupMigrationPolicy)
	}
	c.OffsetMetadataBytesMax = positive(int(b.OffsetMetadataMax.Bytes()), c.OffsetMetadataBytesMax)
	return c
}

// millis is a duration as the protocol has it; what is longer than it can say, 24 days, is as long as it can say.
func millis(d configs.Duration) int32 { return int32(min(d.D().Milliseconds(), math.MaxInt32)) }

func positive[N int | int32 | int64](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}
