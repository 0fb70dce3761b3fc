package core

// Config bounds and times a shard. The zero value of a field is not a default;
// start from [DefaultConfig].
type Config struct {
	// SessionTimeoutMinMs and SessionTimeoutMaxMs are the session timeouts that
	// a member may ask for (group.min.session.timeout.ms, group.max.session.timeout.ms).
	SessionTimeoutMinMs, SessionTimeoutMaxMs int32
	// InitialRebalanceDelayMs is how long an empty group waits for more members
	// before its first rebalance (group.initial.rebalance.delay.ms).
	InitialRebalanceDelayMs int32
	// NewMemberJoinTimeoutMs is how long a member without a known id may be
	// parked in its first JoinGroup before it is dropped.
	NewMemberJoinTimeoutMs int32
	// GroupMembersMax bounds the members of a group (group.max.size), and apart
	// from them its pending member ids.
	GroupMembersMax int
	// GroupsMax bounds the groups of the shard.
	GroupsMax int
	// MemberMetadataBytesMax bounds the protocols of one JoinGroup request.
	MemberMetadataBytesMax int
	// OffsetMetadataBytesMax bounds the metadata of a committed offset (offset.metadata.max.bytes).
	OffsetMetadataBytesMax int
	// OffsetsRetentionMs is how long offsets of an empty group are kept (offsets.retention.minutes).
	OffsetsRetentionMs int64
	// ExpiryIntervalMs is the time between two looks for expired offsets
	// (offsets.retention.check.interval.ms).
	ExpiryIntervalMs int64
	// ConsumerSessionTimeoutMs and ConsumerHeartbeatIntervalMs are told to the
	// members of consumer groups that have no config of their own
	// (group.consumer.session.timeout.ms, group.consumer.heartbeat.interval.ms).
	ConsumerSessionTimeoutMs, ConsumerHeartbeatIntervalMs int32
	// MigrationPolicy says which groups may change their protocol.
	MigrationPolicy MigrationPolicy
}

// DefaultConfig returns Apache Kafka's defaults, with bounds where Kafka has none.
func DefaultConfig() Config {
	return Config{
		SessionTimeoutMinMs:     6_000,
		SessionTimeoutMaxMs:     1_800_000,
		InitialRebalanceDelayMs: 3_000,
		NewMemberJoinTimeoutMs:  300_000,
		GroupMembersMax:         10_000,
		GroupsMax:               50_000,
		MemberMetadataBytesMax:  1 << 20,
		OffsetMetadataBytesMax:  4_096,
		OffsetsRetentionMs:      7 * 24 * 3_600_000,
		ExpiryIntervalMs:        600_000,

		ConsumerSessionTimeoutMs:    45_000,
		ConsumerHeartbeatIntervalMs: 5_000,
		MigrationPolicy:             MigrationBidirectional,
	}
}
