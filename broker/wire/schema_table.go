package wire

// versionRanges names the fields of a request that are not in all its versions,
// as "Path from-to" with an open end for "and later". "tag" marks a field
// that travels only as a tagged field. Everything else about a request's shape
// is taken from its kmsg type, whose fields are in wire order.
//
// The ranges are those of Kafka's message definitions; a test compares every
// key and version with what kmsg itself writes and reads.
func versionRanges(key int16) string {
	switch key {
	case 0: // Produce
		return "TransactionID 3-; Topics.Topic 0-12; Topics.TopicID 13-"
	case 1: // Fetch
		return "ClusterID tag; ReplicaID 0-14; ReplicaState tag; MaxBytes 3-; IsolationLevel 4-; SessionID 7-; SessionEpoch 7-; " +
			"Topics.Topic 0-12; Topics.TopicID 13-; Topics.Partitions.CurrentLeaderEpoch 9-; Topics.Partitions.LastFetchedEpoch 12-; " +
			"Topics.Partitions.LogStartOffset 5-; Topics.Partitions.ReplicaDirectoryID tag; Topics.Partitions.HighWatermark tag; " +
			"ForgottenTopics 7-; ForgottenTopics.Topic 7-12; ForgottenTopics.TopicID 13-; Rack 11-"
	case 2: // ListOffsets
		return "IsolationLevel 2-; Topics.Partitions.CurrentLeaderEpoch 4-; Topics.Partitions.MaxNumOffsets 0-0; TimeoutMillis 10-"
	case 3: // Metadata
		return "Topics.TopicID 10-; AllowAutoTopicCreation 4-; IncludeClusterAuthorizedOperations 8-10; IncludeTopicAuthorizedOperations 8-"
	case 8: // OffsetCommit
		return "Generation 1-; MemberID 1-; InstanceID 7-; RetentionTimeMillis 2-4; Topics.Topic 0-9; Topics.TopicID 10-; " +
			"Topics.Partitions.Timestamp 1-1; Topics.Partitions.LeaderEpoch 6-"
	case 9: // OffsetFetch
		return "Group 0-7; Topics 0-7; Groups 8-; Groups.MemberID 9-; Groups.MemberEpoch 9-; Groups.Topics.Topic 8-9; " +
			"Groups.Topics.TopicID 10-; RequireStable 7-"
	case 10: // FindCoordinator
		return "CoordinatorKey 0-3; CoordinatorType 1-; CoordinatorKeys 4-"
	case 11: // JoinGroup
		return "RebalanceTimeoutMillis 1-; InstanceID 5-; Reason 8-"
	case 12: // Heartbeat
		return "InstanceID 3-"
	case 13: // LeaveGroup
		return "MemberID 0-2; Members 3-; Members.Reason 5-"
	case 14: // SyncGroup
		return "InstanceID 3-; ProtocolType 5-; Protocol 5-"
	case 15: // DescribeGroups
		return "IncludeAuthorizedOperations 3-"
	case 16: // ListGroups
		return "StatesFilter 4-; TypesFilter 5-"
	case 18: // ApiVersions
		return "ClientSoftwareName 3-; ClientSoftwareVersion 3-; ClusterID 5-; NodeID 5-"
	case 19: // CreateTopics
		return "ValidateOnly 1-"
	case 20: // DeleteTopics
		return "TopicNames 0-5; Topics 6-"
	case 22: // InitProducerId
		return "ProducerID 3-; ProducerEpoch 3-"
	case 23: // OffsetForLeaderEpoch
		return "ReplicaID 3-; Topics.Partitions.CurrentLeaderEpoch 2-"
	case 24: // AddPartitionsToTxn
		return "TransactionalID 0-3; ProducerID 0-3; ProducerEpoch 0-3; Topics 0-3; Transactions 4-"
	case 27: // WriteTxnMarkers
		return "Markers.TransactionVersion 2-"
	case 28: // TxnOffsetCommit
		return "Generation 3-; MemberID 3-; InstanceID 3-; Topics.Topic 0-5; Topics.TopicID 6-; Topics.Partitions.LeaderEpoch 2-"
	case 29: // DescribeAcls
		return "ResourcePatternType 1-"
	case 30: // CreateAcls
		return "Creations.ResourcePatternType 1-"
	case 31: // DeleteAcls
		return "Filters.ResourcePatternType 1-"
	case 32: // DescribeConfigs
		return "IncludeSynonyms 1-; IncludeDocumentation 3-"
	case 43: // ElectLeaders
		return "ElectionType 1-"
	case 45: // AlterPartitionReassignments
		return "AllowReplicationFactorChange 1-"
	case 57: // UpdateFeatures
		return "FeatureUpdates.AllowDowngrade 0-0; FeatureUpdates.UpgradeType 1-; ValidateOnly 1-"
	case 60: // DescribeCluster
		return "EndpointType 1-; IncludeFencedBrokers 2-"
	case 66: // ListTransactions
		return "DurationFilterMillis 1-; TransactionalIDPattern 2-"
	case 68: // ConsumerGroupHeartbeat
		return "SubscribedTopicRegex 1-"
	case 74: // ListConfigResources
		return "ResourceTypes 1-"
	case 80: // AddRaftVoter
		return "AckWhenCommitted 1-"
	}
	return ""
}

// nullRanges names the arrays and bytes of a request that may be null, as versionRanges names
// fields. All others have a length, if only 0: Kafka closes the connection of who sends a null.
func nullRanges(key int16) string {
	switch key {
	case 0: // Produce
		return "Topics.Partitions.Records 0-"
	case 3: // Metadata
		return "Topics 1-"
	case 9: // OffsetFetch
		return "Topics 2-7; Groups.Topics 8-"
	case 32: // DescribeConfigs
		return "Resources.ConfigNames 0-"
	case 35: // DescribeLogDirs
		return "Topics 0-"
	case 37: // CreatePartitions
		return "Topics.Assignment 0-"
	case 43: // ElectLeaders
		return "Topics 0-"
	case 45: // AlterPartitionReassignments
		return "Topics.Partitions.Replicas 0-"
	case 46: // ListPartitionReassignments
		return "Topics 0-"
	case 50: // DescribeUserScramCredentials
		return "Users 0-"
	case 68: // ConsumerGroupHeartbeat
		return "SubscribedTopicNames 0-; Topics 0-"
	}
	return ""
}
