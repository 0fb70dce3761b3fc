package broker

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
)

// Levels of metadata.version from which on records have more fields.
const (
	// metadataVersionDirectories is 3.7-IV2: a partition says in which log directory
	// its replicas are (KIP-858).
	metadataVersionDirectories = 17
	metadataVersionLatest      = 27
)

// exporter turns an image into records of a Kafka node.
type exporter struct {
	image     *metadata.Image
	node      int32
	directory kafkadir.UUID
	records   []kafkadir.VersionedRecord
}

// exportRecords are what a controller needs to know: features first, then
// topics, configs, producer ids, users and access control entries. The broker
// registers itself.
func exportRecords(image *metadata.Image, node int32, directory kafkadir.UUID) []kafkadir.VersionedRecord {
	x := &exporter{image: image, node: node, directory: directory}
	x.features()
	for _, name := range image.TopicNames() {
		x.topic(image.Topic(name))
	}
	for _, name := range image.ConfiguredResources(metadata.ResourceBroker) {
		x.configs(kafkadir.ResourceBroker, name, image.Configs(metadata.ResourceBroker, name))
	}
	for _, name := range image.ConfiguredResources(metadata.ResourceGroup) {
		x.configs(kafkadir.ResourceGroup, name, image.Configs(metadata.ResourceGroup, name))
	}
	if next := image.NextProducerID; next > 0 {
		x.add(&kafkadir.ProducerIDsRecord{BrokerID: node, BrokerEpoch: -1, NextProducerID: next})
	}
	x.security()
	return x.records
}

func (x *exporter) add(r kafkadir.Record) {
	x.records = append(x.records, kafkadir.VersionedRecord{Record: r})
}

// features writes metadata.version before anything else, as Kafka's reader needs it.
func (x *exporter) features() {
	x.add(&kafkadir.FeatureLevelRecord{Name: featureMetadata, Level: x.metadataVersion()})
	for _, f := range supportedFeatures() {
		if level, ok := x.image.FeatureLevel(f.name); ok && level > 0 && f.name != featureMetadata {
			x.add(&kafkadir.FeatureLevelRecord{Name: f.name, Level: level})
		}
	}
}

func (x *exporter) metadataVersion() int16 {
	if level, ok := x.image.FeatureLevel(featureMetadata); ok {
		return level
	}
	return metadataVersionLatest
}

// topic writes a topic as Kafka leaves it when its only node was stopped in
// order: in sync and without a leader, so that the start elects one under a new
// leader epoch.
func (x *exporter) topic(t *metadata.Topic) {
	id := kafkadir.UUID(t.ID)
	x.add(&kafkadir.TopicRecord{Name: t.Name, TopicID: id})
	version := int16(0)
	if x.metadataVersion() >= metadataVersionDirectories {
		version = 1
	}
	for i, p := range t.Partitions {
		x.records = append(x.records, kafkadir.VersionedRecord{Version: version, Record: &kafkadir.PartitionRecord{
			PartitionID: int32(i), TopicID: id, Replicas: []int32{x.node}, ISR: []int32{x.node}, Leader: -1,
			LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.LeaderEpoch, Directories: []kafkadir.UUID{x.directory},
		}})
	}
	x.configs(kafkadir.ResourceTopic, t.Name, t.Configs)
}

func (x *exporter) configs(kind int8, name string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		x.add(&kafkadir.ConfigRecord{ResourceType: kind, ResourceName: name, Name: key, Value: new(values[key])})
	}
}

func (x *exporter) security() {
	codes := map[string]int8{}
	for code, name := range scramMechanisms() {
		codes[name] = code
	}
	for _, c := range x.image.ScramCredentials() {
		x.add(&kafkadir.UserScramCredentialRecord{
			Name: c.User, Mechanism: codes[c.Mechanism], Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey, Iterations: int32(c.Iterations),
		})
	}
	for _, e := range x.image.Quotas().Entities() {
		var entity []kafkadir.QuotaEntity
		for _, p := range metadata.QuotaParts(e) {
			entity = append(entity, kafkadir.QuotaEntity{Type: p.Kind, Name: p.Name})
		}
		limits := x.image.Quotas().Get(e)
		for _, key := range slices.Sorted(maps.Keys(limits)) {
			x.add(&kafkadir.ClientQuotaRecord{Entity: entity, Key: string(key), Value: limits[key]})
		}
	}
	for b, id := range x.image.ACLs() {
		x.add(&kafkadir.AccessControlEntryRecord{
			ID: kafkadir.UUID(id), ResourceType: int8(b.Type), ResourceName: b.Name, PatternType: int8(b.Kind),
			Principal: b.Principal, Host: b.Host, Operation: int8(b.Operation), PermissionType: int8(b.Permission),
		})
	}
}
