package broker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/quota"
)

// importer turns the metadata of a Kafka node into records of ours.
type importer struct {
	image    *kafkadir.Image
	plan     *importPlan
	tables   *configTables
	o        *ImportOptions
	records  []metadata.Record
	notTaken []kafkadir.Finding
}

// records are the metadata that the new node begins with. The report of the
// plan is completed.
func (o *ImportOptions) records(source *kafkadir.Source, plan *importPlan) ([]metadata.Record, []kafkadir.Finding) {
	m := &importer{image: source.Metadata.Image, plan: plan, tables: newConfigTables(), o: o}
	plan.Report.Configs = 0
	m.add(&metadata.ClusterRecord{ClusterID: plan.ClusterID})
	m.topics()
	m.configs()
	m.features()
	m.security()
	if next := m.image.NextProducerID; next > 0 {
		m.add(&metadata.ProducerIDsRecord{Next: next})
	}
	return m.records, m.notTaken
}

func (m *importer) add(r metadata.Record) { m.records = append(m.records, r) }

func (m *importer) skip(what, format string, args ...any) {
	m.notTaken = append(m.notTaken, kafkadir.Finding{What: what, Why: fmt.Sprintf(format, args...)})
}

// topics makes every topic with its id and as many partitions as it has; this
// node leads them all.
func (m *importer) topics() {
	epochs := map[string]int32{}
	for _, r := range m.plan.Replicas {
		epochs[r.Name()] = r.LeaderEpoch
	}
	for _, t := range m.image.SortedTopics() {
		if err := checkTopicName(t.Name); err != nil || len(t.Partitions) == 0 {
			m.skip("topic "+t.Name, "it has no partitions or an impossible name")
			continue
		}
		node := m.plan.NodeID
		partitions := make([]metadata.Partition, len(t.Partitions))
		for i := range partitions {
			partitions[i] = metadata.Partition{Leader: node, Replicas: []int32{node}, ISR: []int32{node}}
			if p := t.Partitions[int32(i)]; p != nil {
				partitions[i].LeaderEpoch = max(p.LeaderEpoch, epochs[fmt.Sprintf("%s-%d", t.Name, i)], 0)
			}
		}
		values := m.checked("topic "+t.Name, m.tables.topic, m.image.Configs[kafkadir.ConfigKey{Type: kafkadir.ResourceTopic, Name: t.Name}])
		m.add(&metadata.TopicRecord{ID: metadata.TopicID(t.ID), Name: t.Name, Partitions: partitions, Configs: values, Internal: isInternalTopic(t.Name)})
	}
}

// isInternalTopic says which topics Kafka's own coordinators write.
func isInternalTopic(name string) bool {
	return name == offsetsTopic || name == transactionTopic || name == "__share_group_state"
}

// checked returns the configs that have a meaning here.
func (m *importer) checked(what string, defs []configDef, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		d := findConfig(defs, key)
		if d == nil {
			m.skip(what, "config %s=%s: there is no such config", key, values[key])
			continue
		}
		if err := d.check(values[key], m.o.Config); err != nil {
			m.skip(what, "config %s=%s: %v", key, values[key], err)
			continue
		}
		out[key] = values[key]
		m.plan.Report.Configs++
	}
	return out
}

// configs takes what was set for this broker, for all brokers and for groups
// while Kafka ran.
func (m *importer) configs() {
	keys := slices.SortedFunc(maps.Keys(m.image.Configs), func(a, b kafkadir.ConfigKey) int {
		return slices.Compare([]string{strconv.Itoa(int(a.Type)), a.Name}, []string{strconv.Itoa(int(b.Type)), b.Name})
	})
	for _, key := range keys {
		values := m.image.Configs[key]
		switch {
		case key.Type == kafkadir.ResourceTopic:
			// They are in the topics' records.
		case key.Type == kafkadir.ResourceBroker && (key.Name == "" || key.Name == strconv.Itoa(int(m.plan.NodeID))):
			m.brokerConfigs(key.Name, values)
		case key.Type == kafkadir.ResourceGroup:
			for name, value := range m.checked("group "+key.Name, m.tables.group, values) {
				m.add(&metadata.ConfigRecord{Kind: metadata.ResourceGroup, Name: key.Name, Key: name, Value: &value})
			}
		case key.Type == kafkadir.ResourceBroker:
			m.skip("broker "+key.Name, "%d configs of another broker", len(values))
		default:
			m.skip(fmt.Sprintf("resource %q of type %d", key.Name, key.Type), "%d configs: there are none of that kind here", len(values))
		}
	}
}

func (m *importer) brokerConfigs(name string, values map[string]string) {
	what := "broker " + name
	if name == "" {
		what = "all brokers"
	}
	values = maps.Clone(values)
	for key := range values {
		if d := findConfig(m.tables.broker, key); d != nil && !d.dynamic {
			m.skip(what, "config %s=%s: it can be set in the configuration file only (%s)", key, values[key], d.doc)
			delete(values, key)
		}
	}
	for key, value := range m.checked(what, m.tables.broker, values) {
		m.add(&metadata.ConfigRecord{Kind: metadata.ResourceBroker, Name: name, Key: key, Value: &value})
	}
}

func (m *importer) features() {
	for _, name := range slices.Sorted(maps.Keys(m.image.Features)) {
		level := m.image.Features[name]
		f, ok := findFeature(name)
		if !ok {
			m.skip("feature "+name, "level %d: there is no such feature", level)
			continue
		}
		m.add(&metadata.FeatureRecord{Name: name, Level: min(level, f.max)})
	}
}

// scramMechanisms are the codes that Kafka has for the mechanisms (KIP-554).
func scramMechanisms() map[int8]string {
	return map[int8]string{1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
}

// security takes users and access control entries; the report names what else there is.
func (m *importer) security() {
	m.plan.Report.Quotas, m.plan.Report.Users, m.plan.Report.ACLs = 0, 0, len(m.image.ACLs())
	for _, e := range m.image.ACLs() {
		m.add(&metadata.ACLRecord{ID: metadata.TopicID(e.ID), ACL: metadata.ACL{
			ResourceType: acl.ResourceType(e.ResourceType), Name: e.ResourceName, PatternType: acl.PatternType(e.PatternType),
			Principal: e.Principal, Host: e.Host, Operation: acl.Operation(e.Operation), Permission: acl.Permission(e.PermissionType),
		}})
	}
	for _, c := range m.image.ScramCredentials() {
		mechanism, ok := scramMechanisms()[c.Mechanism]
		if !ok {
			m.skip("user "+c.Name, "its SCRAM credential of mechanism %d", c.Mechanism)
			continue
		}
		m.plan.Report.Users++
		m.add(&metadata.UserScramRecord{ScramCredential: metadata.ScramCredential{
			User: c.Name, Mechanism: mechanism, Iterations: int(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey,
		}})
	}
	m.quotas()
	if n := m.image.Tokens(); n > 0 {
		m.skip("delegation tokens", "%d: there are none here", n)
	}
}

func (m *importer) quotas() {
	for _, q := range m.image.Quotas() {
		r := &metadata.QuotaRecord{Key: quota.Key(q.Key), Value: &q.Value}
		known := q.Value > 0 && slices.Contains([]quota.Key{
			quota.ProducerByteRate, quota.ConsumerByteRate, quota.RequestPercentage, quota.ControllerMutationRate, quota.ConnectionCreationRate,
		}, r.Key)
		for _, e := range q.Entity {
			known = known && (e.Type == quota.User || e.Type == quota.ClientID || e.Type == quota.IP)
			r.Entity = append(r.Entity, metadata.QuotaPart{Kind: e.Type, Name: e.Name})
		}
		if !known || len(r.Entity) == 0 {
			m.skip("quota "+q.Key, "%v of %s: there is none of that kind here", q.Value, q.EntityString())
			continue
		}
		m.plan.Report.Quotas++
		m.add(r)
	}
}
