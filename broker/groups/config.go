package groups

import (
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/configs"
)

// ConfigOf returns the configuration of groups that a broker's says; what is 0
// there, except the rebalance delay, is Apache Kafka's default.
func ConfigOf(b configs.Broker) Config {
	c := DefaultConfig()
	c.InitialRebalanceDelayMs = int32(b.GroupInitialRebalanceDelay.D().Milliseconds())
	c.SessionTimeoutMinMs = positive(int32(b.GroupSessionTimeoutMin.D().Milliseconds()), c.SessionTimeoutMinMs)
	c.SessionTimeoutMaxMs = positive(int32(b.GroupSessionTimeoutMax.D().Milliseconds()), c.SessionTimeoutMaxMs)
	c.GroupMembersMax = positive(b.GroupMembersMax, c.GroupMembersMax)
	c.GroupsMax = positive(b.GroupsMax, c.GroupsMax)
	c.OffsetsRetentionMs = positive(b.OffsetsRetention.D().Milliseconds(), c.OffsetsRetentionMs)
	c.ConsumerSessionTimeoutMs = positive(int32(b.GroupConsumerSessionTimeout.D().Milliseconds()), c.ConsumerSessionTimeoutMs)
	c.ConsumerHeartbeatIntervalMs = positive(int32(b.GroupConsumerHeartbeatInterval.D().Milliseconds()), c.ConsumerHeartbeatIntervalMs)
	if b.GroupMigrationPolicy != "" {
		c.MigrationPolicy = core.MigrationPolicy(b.GroupMigrationPolicy)
	}
	c.OffsetMetadataBytesMax = positive(int(b.OffsetMetadataMax.Bytes()), c.OffsetMetadataBytesMax)
	return c
}

func positive[N int | int32 | int64](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}
