package kafkadir

import "fmt"

// Record is one record of Kafka's metadata log. The concrete types are those
// of this file, with Kafka's names and fields.
type Record interface {
	// kind is the record's apiKey and the highest version that is known.
	kind() (apiKey, versionMax int16)
	fields(c *codec)
}

// RegisterBrokerRecord registers a broker at its start.
type RegisterBrokerRecord struct {
	BrokerID             int32
	IsMigratingZkBroker  bool
	IncarnationID        UUID
	BrokerEpoch          int64
	EndPoints            []Endpoint
	Features             []FeatureRange
	Rack                 *string
	Fenced               bool
	InControlledShutdown bool
	LogDirs              []UUID
}

// Endpoint is a listener of a broker or controller.
type Endpoint struct {
	Name, Host string
	Port       uint16
	// SecurityProtocol is 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
	SecurityProtocol int16
}

// FeatureRange is a feature with the levels that a node supports.
type FeatureRange struct {
	Name     string
	Min, Max int16
}

// UnregisterBrokerRecord removes a broker.
type UnregisterBrokerRecord struct {
	BrokerID    int32
	BrokerEpoch int64
}

// TopicRecord makes a topic; its partitions follow.
type TopicRecord struct {
	Name    string
	TopicID UUID
}

// PartitionRecord makes a partition.
type PartitionRecord struct {
	PartitionID         int32
	TopicID             UUID
	Replicas, ISR       []int32
	Removing, Adding    []int32
	Leader              int32
	LeaderRecoveryState int8
	LeaderEpoch         int32
	PartitionEpoch      int32
	// Directories hold the replicas, in the order of Replicas; version 1 (KIP-858).
	Directories []UUID
	// EligibleLeaders and LastKnownELR; version 2 (KIP-966).
	EligibleLeaders, LastKnownELR []int32
}

// PartitionChangeRecord changes a partition: nil slices, Leader -2 and
// LeaderRecoveryState -1 change nothing.
type PartitionChangeRecord struct {
	PartitionID         int32
	TopicID             UUID
	ISR                 *[]int32
	Leader              int32
	Replicas            *[]int32
	Removing, Adding    *[]int32
	LeaderRecoveryState int8
	EligibleLeaders     *[]int32
	LastKnownELR        *[]int32
	Directories         *[]UUID
}

// RemoveTopicRecord removes a topic with its partitions.
type RemoveTopicRecord struct{ TopicID UUID }

// ConfigRecord sets one config, or removes it when Value is nil.
type ConfigRecord struct {
	// ResourceType is one of the Resource constants.
	ResourceType int8
	ResourceName string
	Name         string
	Value        *string
}

// Types of resources that have configs.
const (
	ResourceTopic         int8 = 2
	ResourceBroker        int8 = 4
	ResourceClientMetrics int8 = 16
	ResourceGroup         int8 = 32
)

// FenceBrokerRecord and UnfenceBrokerRecord change whether a broker leads.
type (
	FenceBrokerRecord struct {
		ID    int32
		Epoch int64
	}
	// UnfenceBrokerRecord undoes a FenceBrokerRecord.
	UnfenceBrokerRecord struct {
		ID    int32
		Epoch int64
	}
)

// DelegationTokenRecord issues or renews a token (KIP-48).
type DelegationTokenRecord struct {
	Owner, Requester                                  string
	Renewers                                          []string
	IssueTimestamp, MaxTimestamp, ExpirationTimestamp int64
	TokenID                                           string
}

// RemoveDelegationTokenRecord removes a token.
type RemoveDelegationTokenRecord struct{ TokenID string }

// UserScramCredentialRecord sets a user's SCRAM credential (KIP-554).
type UserScramCredentialRecord struct {
	Name string
	// Mechanism is 1 SCRAM-SHA-256 or 2 SCRAM-SHA-512.
	Mechanism                  int8
	Salt, StoredKey, ServerKey []byte
	Iterations                 int32
}

// RemoveUserScramCredentialRecord removes a user's credential.
type RemoveUserScramCredentialRecord struct {
	Name      string
	Mechanism int8
}

// FeatureLevelRecord sets the level of a feature; 0 removes it (KIP-584).
type FeatureLevelRecord struct {
	Name  string
	Level int16
}

// ClientQuotaRecord sets or removes one quota (KIP-546).
type ClientQuotaRecord struct {
	Entity []QuotaEntity
	Key    string
	Value  float64
	Remove bool
}

// QuotaEntity is one part of what a quota applies to; a nil name is the default.
type QuotaEntity struct {
	Type string
	Name *string
}

// ProducerIDsRecord says that all producer ids below NextProducerID are taken.
type ProducerIDsRecord struct {
	BrokerID       int32
	BrokerEpoch    int64
	NextProducerID int64
}

// BrokerRegistrationChangeRecord changes a broker's registration.
type BrokerRegistrationChangeRecord struct {
	BrokerID                     int32
	BrokerEpoch                  int64
	Fenced, InControlledShutdown int8
	LogDirs                      []UUID
}

// AccessControlEntryRecord adds an ACL; the numbers are those of the protocol.
type AccessControlEntryRecord struct {
	ID             UUID
	ResourceType   int8
	ResourceName   string
	PatternType    int8
	Principal      string
	Host           string
	Operation      int8
	PermissionType int8
}

// RemoveAccessControlEntryRecord removes an ACL.
type RemoveAccessControlEntryRecord struct{ ID UUID }

// NoOpRecord keeps the log alive (KIP-835).
type NoOpRecord struct{}

// ZkMigrationStateRecord is a remnant of the migration from ZooKeeper.
type ZkMigrationStateRecord struct{ State int8 }

// BeginTransactionRecord begins records that count together or not at all (KIP-868).
type BeginTransactionRecord struct{ Name *string }

// EndTransactionRecord commits the records since BeginTransactionRecord.
type EndTransactionRecord struct{}

// AbortTransactionRecord drops the records since BeginTransactionRecord.
type AbortTransactionRecord struct{ Reason *string }

// RegisterControllerRecord registers a controller (KIP-919).
type RegisterControllerRecord struct {
	ControllerID     int32
	IncarnationID    UUID
	ZkMigrationReady bool
	EndPoints        []Endpoint
	Features         []FeatureRange
}

// ClearElrRecord forgets the eligible leaders of a topic, or of all when empty.
type ClearElrRecord struct{ TopicName string }

// newRecord returns an empty record by its apiKey, nil for one that is not known.
func newRecord(apiKey int16) Record {
	for _, r := range []Record{
		&RegisterBrokerRecord{}, &UnregisterBrokerRecord{}, &TopicRecord{}, &PartitionRecord{}, &ConfigRecord{},
		&PartitionChangeRecord{Leader: -2, LeaderRecoveryState: -1}, &FenceBrokerRecord{}, &UnfenceBrokerRecord{},
		&RemoveTopicRecord{}, &DelegationTokenRecord{}, &UserScramCredentialRecord{}, &FeatureLevelRecord{},
		&ClientQuotaRecord{}, &ProducerIDsRecord{}, &BrokerRegistrationChangeRecord{}, &AccessControlEntryRecord{},
		&RemoveAccessControlEntryRecord{}, &NoOpRecord{}, &ZkMigrationStateRecord{}, &RemoveUserScramCredentialRecord{},
		&BeginTransactionRecord{}, &EndTransactionRecord{}, &AbortTransactionRecord{}, &RemoveDelegationTokenRecord{},
		&RegisterControllerRecord{}, &ClearElrRecord{},
	} {
		if key, _ := r.kind(); key == apiKey {
			return r
		}
	}
	return nil
}

// frameVersion of a record's value: it is followed by apiKey, version and fields.
const frameVersion = 1

// DecodeRecord reads the value of a record of the metadata log. The record does
// not alias value.
func DecodeRecord(value []byte) (Record, error) {
	c := &codec{b: value}
	frame, apiKey, version := c.uvarint(), c.uvarint(), c.uvarint()
	if c.err != nil {
		return nil, c.err
	}
	if frame != frameVersion {
		return nil, fmt.Errorf("%w: frame version %d is not known", errRecordBytes, frame)
	}
	r := newRecord(int16(min(apiKey, 1<<15-1)))
	if r == nil {
		return nil, fmt.Errorf("%w: type %d is not known: it was written by a newer Apache Kafka than 4.1", errRecordBytes, apiKey)
	}
	if _, highest := r.kind(); version > uint32(highest) {
		return nil, fmt.Errorf("%w: version %d of %T is not known: it was written by a newer Apache Kafka than 4.1", errRecordBytes, version, r)
	}
	c.version = int16(version)
	r.fields(c)
	if c.err == nil && len(c.b) > 0 {
		c.fail("%d bytes follow it", len(c.b))
	}
	if c.err != nil {
		return nil, fmt.Errorf("%T version %d: %w", r, version, c.err)
	}
	return r, nil
}

// EncodeRecord writes what DecodeRecord reads.
func EncodeRecord(r Record, version int16) ([]byte, error) {
	key, highest := r.kind()
	if version < 0 || version > highest {
		return nil, fmt.Errorf("%w: %T has no version %d", errRecordBytes, r, version)
	}
	c := &codec{writing: true, version: version}
	c.putUvarint(frameVersion)
	c.putUvarint(int(key))
	c.putUvarint(int(version))
	r.fields(c)
	return c.b, c.err
}
