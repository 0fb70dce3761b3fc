package metadata

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/quota"
)

// TopicID identifies a topic for its whole life; a topic of the same name made
// later has another one.
type TopicID [16]byte

// Record is one change of an image. The concrete types are those of this file.
// A new type or field is a new format version (see format.go) unless an older
// reader may ignore it.
type Record interface {
	recordType() string
	apply(*Image) error
}

// ClusterRecord names the cluster. It is the first record of a new log.
type ClusterRecord struct {
	ClusterID string `json:"cluster_id"`
}

// BrokerRecord registers a broker at its start. It takes over the leadership of
// the partitions that it leads with a new leader epoch.
type BrokerRecord struct {
	NodeID int32 `json:"node_id"`
	// Host and Port are those of the first endpoint.
	Host string `json:"host"`
	Port int32  `json:"port"`
	// Endpoints are where clients find the broker, by listener. Records of
	// older versions have none.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Rack      string     `json:"rack,omitempty"`
	// Incarnation is random for each start of the process.
	Incarnation TopicID `json:"incarnation"`
}

// TopicRecord makes a topic.
type TopicRecord struct {
	ID         TopicID           `json:"id"`
	Name       string            `json:"name"`
	Partitions []Partition       `json:"partitions"`
	Configs    map[string]string `json:"configs,omitempty"`
	Internal   bool              `json:"internal,omitempty"`
}

// PartitionsRecord adds partitions to a topic.
type PartitionsRecord struct {
	TopicID TopicID     `json:"topic_id"`
	Added   []Partition `json:"added"`
}

// TopicRemovedRecord deletes a topic.
type TopicRemovedRecord struct {
	TopicID TopicID `json:"topic_id"`
}

// Kinds of resources that have configs.
const (
	// ResourceTopic is a topic; its resource name is the topic's name.
	ResourceTopic = "topic"
	// ResourceBroker is a broker; its resource name is the node id, or empty
	// for the default of all brokers.
	ResourceBroker = "broker"
	// ResourceGroup is a consumer group.
	ResourceGroup = "group"
)

// ConfigRecord sets one config of a resource, or removes it.
type ConfigRecord struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Key  string `json:"key"`
	// Value is nil when the config is removed.
	Value *string `json:"value"`
}

// ACLRecord adds an access control entry.
type ACLRecord struct {
	ID TopicID `json:"id"`
	ACL
}

// ACLRemovedRecord removes an access control entry.
type ACLRemovedRecord struct {
	ID TopicID `json:"id"`
}

// QuotaRecord sets one limit of an entity, or removes it.
type QuotaRecord struct {
	Entity []QuotaPart `json:"entity"`
	Key    quota.Key   `json:"key"`
	// Value is nil when the limit is removed.
	Value *float64 `json:"value"`
}

// QuotaPart is one part of the entity of a quota.
type QuotaPart struct {
	// Kind is user, client-id or ip.
	Kind string `json:"kind"`
	// Name is nil for the default of the kind.
	Name *string `json:"name"`
}

// ProducerIDsRecord says that all producer ids below Next have been given out.
type ProducerIDsRecord struct {
	Next int64 `json:"next"`
}

// errRecord is what a record that does not fit the image gives.
var errRecord = errors.New("metadata record does not fit")

func newRecord(kind string) Record {
	for _, r := range []Record{
		&ClusterRecord{}, &BrokerRecord{}, &TopicRecord{}, &PartitionsRecord{},
		&TopicRemovedRecord{}, &ConfigRecord{}, &ACLRecord{}, &ACLRemovedRecord{}, &QuotaRecord{}, &ProducerIDsRecord{}, &FeatureRecord{}, &snapshotRecord{},
		&UserScramRecord{}, &UserScramRemovedRecord{},
	} {
		if r.recordType() == kind {
			return r
		}
	}
	return nil
}

type envelope struct {
	Type   string          `json:"type"`
	Record json.RawMessage `json:"record"`
}

func encodeRecords(records []Record) ([]byte, error) {
	out := make([]envelope, len(records))
	for i, r := range records {
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("encode %s record: %w", r.recordType(), err)
		}
		out[i] = envelope{Type: r.recordType(), Record: raw}
	}
	return json.Marshal(out)
}

func decodeRecords(payload []byte) ([]Record, error) {
	var in []envelope
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, err
	}
	records := make([]Record, len(in))
	for i, e := range in {
		r := newRecord(e.Type)
		if r == nil {
			return nil, fmt.Errorf("%w: type %q is not known", errRecord, e.Type)
		}
		if err := json.Unmarshal(e.Record, r); err != nil {
			return nil, err
		}
		records[i] = r
	}
	return records, nil
}

func (*ClusterRecord) recordType() string      { return "cluster" }
func (*BrokerRecord) recordType() string       { return "broker" }
func (*TopicRecord) recordType() string        { return "topic" }
func (*PartitionsRecord) recordType() string   { return "partitions" }
func (*TopicRemovedRecord) recordType() string { return "topic_removed" }
func (*ConfigRecord) recordType() string       { return "config" }
func (*ACLRecord) recordType() string          { return "acl" }
func (*QuotaRecord) recordType() string        { return "quota" }
func (*ACLRemovedRecord) recordType() string   { return "acl_removed" }
func (*ProducerIDsRecord) recordType() string  { return "producer_ids" }
