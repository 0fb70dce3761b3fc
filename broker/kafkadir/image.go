package kafkadir

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// String formats the id as Kafka does: 22 characters of URL-safe base64.
func (id UUID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText writes what String returns.
func (id UUID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (id *UUID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseUUID(string(b))
	return err
}

// ParseUUID reads what String writes.
func ParseUUID(s string) (id UUID, err error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not an id of 22 base64 characters", s)
	}
	copy(id[:], b)
	return id, nil
}

// Partition is a partition of an image.
type Partition struct {
	Replicas, ISR                 []int32
	Leader, LeaderEpoch           int32
	PartitionEpoch                int32
	EligibleLeaders, LastKnownELR []int32
	// Directories hold the replicas, in their order; empty before metadata version 3.7.
	Directories []UUID
}

// InSync says whether a node has all committed records: it is in the ISR or
// may become leader (KIP-966), as the last node that was stopped in order.
func (p *Partition) InSync(node int32) bool {
	if slices.Contains(p.ISR, node) || slices.Contains(p.EligibleLeaders, node) {
		return true
	}
	return len(p.ISR)+len(p.EligibleLeaders) == 0 && slices.Contains(p.LastKnownELR, node)
}

// Directory returns the directory of a node's replica; zero when it is not known.
func (p *Partition) Directory(node int32) UUID {
	if i := slices.Index(p.Replicas, node); i >= 0 && i < len(p.Directories) {
		return p.Directories[i]
	}
	return UUID{}
}

// Topic is a topic of an image.
type Topic struct {
	ID         UUID
	Name       string
	Partitions map[int32]*Partition
}

// ConfigKey names a resource that has configs.
type ConfigKey struct {
	Type int8
	Name string
}

type scramKey struct {
	name      string
	mechanism int8
}

// Image is Kafka's metadata, made of its records one after the other.
type Image struct {
	Topics         map[UUID]*Topic
	Configs        map[ConfigKey]map[string]string
	Features       map[string]int16
	Brokers        map[int32]*RegisterBrokerRecord
	NextProducerID int64

	acls   map[UUID]*AccessControlEntryRecord
	scram  map[scramKey]*UserScramCredentialRecord
	quotas map[string]*ClientQuotaRecord
	tokens map[string]*DelegationTokenRecord

	names map[string]*Topic

	// pending are the records of an open metadata transaction.
	pending       []Record
	inTransaction bool
}

// errMetadata is what a record that does not fit the image gives.
var errMetadata = errors.New("metadata record does not fit the ones before it")

// NewImage returns an empty image.
func NewImage() *Image {
	return &Image{
		Topics: map[UUID]*Topic{}, names: map[string]*Topic{}, Configs: map[ConfigKey]map[string]string{}, Features: map[string]int16{},
		Brokers: map[int32]*RegisterBrokerRecord{}, acls: map[UUID]*AccessControlEntryRecord{},
		scram: map[scramKey]*UserScramCredentialRecord{}, quotas: map[string]*ClientQuotaRecord{}, tokens: map[string]*DelegationTokenRecord{},
	}
}

// TopicNamed returns a topic by name, nil when there is none.
func (i *Image) TopicNamed(name string) *Topic { return i.names[name] }

// SortedTopics returns all topics in the order of their names.
func (i *Image) SortedTopics() []*Topic {
	return slices.SortedFunc(maps.Values(i.Topics), func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
}

// ACLs returns the access control entries in the order of their ids.
func (i *Image) ACLs() []*AccessControlEntryRecord {
	return slices.SortedFunc(maps.Values(i.acls), func(a, b *AccessControlEntryRecord) int { return strings.Compare(a.ID.String(), b.ID.String()) })
}

// ScramCredentials returns the users' credentials in the order of names and mechanisms.
func (i *Image) ScramCredentials() []*UserScramCredentialRecord {
	return slices.SortedFunc(maps.Values(i.scram), func(a, b *UserScramCredentialRecord) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.Mechanism) - int(b.Mechanism)
	})
}

// Quotas returns the quotas in the order of their entities.
func (i *Image) Quotas() []*ClientQuotaRecord {
	var out []*ClientQuotaRecord
	for _, key := range slices.Sorted(maps.Keys(i.quotas)) {
		out = append(out, i.quotas[key])
	}
	return out
}

// Tokens returns the number of delegation tokens.
func (i *Image) Tokens() int { return len(i.tokens) }

// Apply applies the next record. Records of a metadata transaction are kept
// until its end; one that was never ended does not count.
func (i *Image) Apply(r Record) error {
	switch r.(type) {
	case *BeginTransactionRecord:
		if i.inTransaction {
			return fmt.Errorf("%w: a transaction begins within another", errMetadata)
		}
		i.inTransaction = true
		return nil
	case *AbortTransactionRecord:
		i.inTransaction, i.pending = false, nil
		return nil
	case *EndTransactionRecord:
		records := i.pending
		i.inTransaction, i.pending = false, nil
		for _, r := range records {
			if err := i.apply(r); err != nil {
				return err
			}
		}
		return nil
	}
	if i.inTransaction {
		i.pending = append(i.pending, r)
		return nil
	}
	return i.apply(r)
}

func (i *Image) apply(r Record) error {
	switch r := r.(type) {
	case *TopicRecord:
		return i.addTopic(r)
	case *PartitionRecord:
		return i.addPartition(r)
	case *PartitionChangeRecord:
		return i.changePartition(r)
	case *RemoveTopicRecord:
		return i.removeTopic(r)
	case *ConfigRecord:
		i.setConfig(r)
	case *ProducerIDsRecord:
		i.NextProducerID = max(i.NextProducerID, r.NextProducerID)
	case *FeatureLevelRecord:
		if i.Features[r.Name] = r.Level; r.Level == 0 {
			delete(i.Features, r.Name)
		}
	case *RegisterBrokerRecord:
		i.Brokers[r.BrokerID] = r
	case *UnregisterBrokerRecord:
		delete(i.Brokers, r.BrokerID)
	case *ClearElrRecord:
		i.clearELR(r.TopicName)
	default:
		i.applySecurity(r)
	}
	return nil
}

// applySecurity applies the records about users and what they may do. The
// remaining types change nothing that an image holds.
func (i *Image) applySecurity(r Record) {
	switch r := r.(type) {
	case *AccessControlEntryRecord:
		i.acls[r.ID] = r
	case *RemoveAccessControlEntryRecord:
		delete(i.acls, r.ID)
	case *UserScramCredentialRecord:
		i.scram[scramKey{r.Name, r.Mechanism}] = r
	case *RemoveUserScramCredentialRecord:
		delete(i.scram, scramKey{r.Name, r.Mechanism})
	case *ClientQuotaRecord:
		if key := quotaKey(r); r.Remove {
			delete(i.quotas, key)
		} else {
			i.quotas[key] = r
		}
	case *DelegationTokenRecord:
		i.tokens[r.TokenID] = r
	case *RemoveDelegationTokenRecord:
		delete(i.tokens, r.TokenID)
	}
}

// quotaKey names an entity and a key, whatever the order of the entity's parts.
func quotaKey(r *ClientQuotaRecord) string {
	var parts []string
	for _, e := range r.Entity {
		if e.Name == nil {
			parts = append(parts, e.Type+"\x01")
		} else {
			parts = append(parts, e.Type+"\x02"+*e.Name)
		}
	}
	slices.Sort(parts)
	return strings.Join(append(parts, r.Key), "\x00")
}

// EntityString says what a quota applies to, as kafka-configs prints it.
func (r *ClientQuotaRecord) EntityString() string {
	var parts []string
	for _, e := range r.Entity {
		if e.Name == nil {
			parts = append(parts, "default "+e.Type)
		} else {
			parts = append(parts, e.Type+" '"+*e.Name+"'")
		}
	}
	return strings.Join(parts, ", ")
}

func (i *Image) addTopic(r *TopicRecord) error {
	if i.Topics[r.TopicID] != nil || i.TopicNamed(r.Name) != nil || r.TopicID == (UUID{}) {
		return fmt.Errorf("%w: topic %q (%s) is there already", errMetadata, r.Name, r.TopicID)
	}
	t := &Topic{ID: r.TopicID, Name: r.Name, Partitions: map[int32]*Partition{}}
	i.Topics[r.TopicID], i.names[r.Name] = t, t
	return nil
}

func (i *Image) removeTopic(r *RemoveTopicRecord) error {
	t := i.Topics[r.TopicID]
	if t == nil {
		return fmt.Errorf("%w: removal of the unknown topic %s", errMetadata, r.TopicID)
	}
	delete(i.Topics, r.TopicID)
	delete(i.names, t.Name)
	delete(i.Configs, ConfigKey{ResourceTopic, t.Name})
	return nil
}

func (i *Image) addPartition(r *PartitionRecord) error {
	t := i.Topics[r.TopicID]
	if t == nil || r.PartitionID < 0 {
		return fmt.Errorf("%w: partition %d of the unknown topic %s", errMetadata, r.PartitionID, r.TopicID)
	}
	t.Partitions[r.PartitionID] = &Partition{
		Replicas: r.Replicas, ISR: r.ISR, Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch,
		EligibleLeaders: r.EligibleLeaders, LastKnownELR: r.LastKnownELR, Directories: r.Directories,
	}
	return nil
}

// changePartition follows PartitionRegistration.merge: the leader epoch grows
// with every change of leadership, the partition epoch with every change.
func (i *Image) changePartition(r *PartitionChangeRecord) error {
	var p *Partition
	if t := i.Topics[r.TopicID]; t != nil {
		p = t.Partitions[r.PartitionID]
	}
	if p == nil {
		return fmt.Errorf("%w: change of the unknown partition %d of topic %s", errMetadata, r.PartitionID, r.TopicID)
	}
	set := func(to *[]int32, from *[]int32) {
		if from != nil {
			*to = *from
		}
	}
	set(&p.ISR, r.ISR)
	set(&p.Replicas, r.Replicas)
	set(&p.EligibleLeaders, r.EligibleLeaders)
	set(&p.LastKnownELR, r.LastKnownELR)
	if r.Directories != nil {
		p.Directories = *r.Directories
	}
	if r.Leader != -2 {
		p.Leader = r.Leader
		p.LeaderEpoch++
	}
	p.PartitionEpoch++
	return nil
}

func (i *Image) clearELR(topic string) {
	for _, t := range i.Topics {
		if topic != "" && t.Name != topic {
			continue
		}
		for _, p := range t.Partitions {
			p.EligibleLeaders, p.LastKnownELR = nil, nil
		}
	}
}

func (i *Image) setConfig(r *ConfigRecord) {
	key := ConfigKey{r.ResourceType, r.ResourceName}
	if r.Value == nil {
		delete(i.Configs[key], r.Name)
		return
	}
	if i.Configs[key] == nil {
		i.Configs[key] = map[string]string{}
	}
	i.Configs[key][r.Name] = *r.Value
}
