package groups

import "github.com/millrace/millrace/configs"

// ConfigOf returns the configuration of groups that a broker's says.
func ConfigOf(b configs.Broker) Config {
	c := DefaultConfig()
	c.InitialRebalanceDelayMs = int32(b.GroupInitialRebalanceDelay.D().Milliseconds())
	c.SessionTimeoutMinMs = int32(b.GroupSessionTimeoutMin.D().Milliseconds())
	c.SessionTimeoutMaxMs = int32(b.GroupSessionTimeoutMax.D().Milliseconds())
	c.GroupMembersMax, c.GroupsMax = b.GroupMembersMax, b.GroupsMax
	c.OffsetsRetentionMs = b.OffsetsRetention.D().Milliseconds()
	c.OffsetMetadataBytesMax = int(b.OffsetMetadataMax.Bytes())
	return c
}
