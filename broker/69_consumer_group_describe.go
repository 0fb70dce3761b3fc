package broker

// ConsumerGroupDescribe: v0-1
//
// Behaviour:
// * Groups of the consumer protocol; others are GROUP_ID_NOT_FOUND, and the
//   client asks DescribeGroups for them.
// * Topics that were deleted are left out of assignments.
// * The state is what the log has, durably: Empty, Assigning, Reconciling, Stable.
//
// KIPs:
// * KIP-848: the API
// * KIP-1099: the type of members (v1)
//
// It is served by serveConsumerGroup and answered by broker/groups/core.
