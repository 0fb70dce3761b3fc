package metadata

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/broker/quota"
)

// String formats the id as Kafka does: 22 characters of URL-safe base64.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText writes the id in hexadecimal.
func (id TopicID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (id *TopicID) UnmarshalText(b []byte) error {
	if n, err := hex.Decode(id[:], b); err != nil || n != len(id) || len(b) != 2*len(id) {
		return fmt.Errorf("%w: %q is not an id", errRecord, b)
	}
	return nil
}

// Partition is where a partition's replicas are and who leads them.
type Partition struct {
	// Leader is a node id; it is one of ISR.
	Leader int32 `json:"leader"`
	// LeaderEpoch grows whenever leadership is taken, also by the same node again.
	LeaderEpoch int32 `json:"leader_epoch"`
	// Replicas are node ids, the preferred leader first; ISR are those in sync.
	Replicas []int32 `json:"replicas"`
	ISR      []int32 `json:"isr"`
}

// Topic is a topic of an image. It must not be changed.
type Topic struct {
	ID         TopicID           `json:"id"`
	Name       string            `json:"name"`
	Partitions []Partition       `json:"partitions"` // by number
	Configs    map[string]string `json:"configs,omitempty"`
	Internal   bool              `json:"internal,omitempty"`
}

// Endpoint is where clients that came by a listener find a broker.
type Endpoint struct {
	// Listener is the listener's name.
	Listener string `json:"listener"`
	// Host is empty when it is the address that the client came to.
	Host string `json:"host"`
	Port int32  `json:"port"`
	// Protocol is Kafka's name of how clients connect, for instance SASL_SSL.
	Protocol string `json:"protocol"`
}

// Broker is a registered broker. It must not be changed.
type Broker struct {
	NodeID      int32      `json:"node_id"`
	Host        string     `json:"host"`
	Port        int32      `json:"port"`
	Endpoints   []Endpoint `json:"endpoints,omitempty"`
	Rack        string     `json:"rack,omitempty"`
	Incarnation TopicID    `json:"incarnation"`
	// Epoch is the index of the commit that registered it.
	Epoch int64 `json:"epoch"`
}

// Endpoint returns where clients of a listener find the broker; ok is false
// when it has no such listener.
func (b *Broker) Endpoint(listener string) (at Endpoint, ok bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Image is the metadata after a commit. Images are immutable: whoever has one
// may read it for as long as they like, without locks.
type Image struct {
	// Index of the last commit in the image: of the last entry of the group's log that holds records.
	Index int64
	// ClusterID is set for good when the log is made.
	ClusterID string
	// NextProducerID is the first producer id that was not given out.
	NextProducerID int64

	topics  map[string]*Topic
	ids     map[TopicID]*Topic
	brokers map[int32]*Broker
	configs map[resource]map[string]string // of brokers and groups
	names   []string                       // of topics, sorted
	scram   map[scramKey]*ScramCredential
	// features are finalized levels by name; the map is never changed.
	features map[string]int16
	acls     aclSet
	quotas   *quota.Limits
}

type resource struct{ kind, name string }

func newImage() *Image {
	return &Image{
		scram:  map[scramKey]*ScramCredential{},
		topics: map[string]*Topic{}, ids: map[TopicID]*Topic{},
		brokers: map[int32]*Broker{}, configs: map[resource]map[string]string{},
		acls: newACLSet(), quotas: new(quota.Limits),
	}
}

// Topic returns a topic by name, nil when there is none.
func (i *Image) Topic(name string) *Topic { return i.topics[name] }

// TopicByID returns a topic by id, nil when there is none.
func (i *Image) TopicByID(id TopicID) *Topic { return i.ids[id] }

// TopicNames returns the names of all topics in order. It must not be changed.
func (i *Image) TopicNames() []string { return i.names }

// Broker returns a broker, nil when there is none.
func (i *Image) Broker(nodeID int32) *Broker { return i.brokers[nodeID] }

// Brokers returns all brokers in the order of their ids.
func (i *Image) Brokers() []*Broker {
	return slices.SortedFunc(maps.Values(i.brokers), func(a, b *Broker) int { return int(a.NodeID) - int(b.NodeID) })
}

// Configs returns the configs that were set for a resource. It must not be changed.
func (i *Image) Configs(kind, name string) map[string]string {
	if kind == ResourceTopic {
		if t := i.topics[name]; t != nil {
			return t.Configs
		}
		return nil
	}
	return i.configs[resource{kind, name}]
}

// ConfiguredResources returns the names of the resources of a kind that have
// configs of their own, in order; it is not for topics.
func (i *Image) ConfiguredResources(kind string) []string {
	var names []string
	for key := range i.configs {
		if key.kind == kind {
			names = append(names, key.name)
		}
	}
	slices.Sort(names)
	return names
}

// PartitionCount returns the number of partitions of all topics.
func (i *Image) PartitionCount() int {
	n := 0
	for _, t := range i.topics {
		n += len(t.Partitions)
	}
	return n
}

// next applies records to a copy.
func (i *Image) next(index int64, records []Record) (*Image, error) {
	n := i.clone()
	if err := n.advance(index, records); err != nil {
		return nil, err
	}
	n.seal()
	return n, nil
}

// clone returns a copy for advance.
func (i *Image) clone() *Image {
	return &Image{
		Index: i.Index, ClusterID: i.ClusterID, NextProducerID: i.NextProducerID,
		scram:  maps.Clone(i.scram),
		topics: maps.Clone(i.topics), ids: maps.Clone(i.ids),
		brokers: maps.Clone(i.brokers), configs: maps.Clone(i.configs), names: i.names,
		features: i.features, acls: i.acls.share(), quotas: i.quotas,
	}
}

// advance applies records to an image that nobody else has yet; seal must follow
// before it is published. After an error the image is of no use.
func (i *Image) advance(index int64, records []Record) error {
	i.Index = index
	for _, r := range records {
		if err := r.apply(i); err != nil {
			return err
		}
	}
	return nil
}

// seal finishes an image before it is published.
func (i *Image) seal() { i.acls.seal() }

// setTopic puts t, which nobody else has yet, in the place of its older self.
func (i *Image) setTopic(t *Topic) {
	if i.topics[t.Name] == nil {
		at, _ := slices.BinarySearch(i.names, t.Name)
		i.names = slices.Insert(slices.Clone(i.names), at, t.Name)
	}
	i.topics[t.Name], i.ids[t.ID] = t, t
}

func (r *ClusterRecord) apply(i *Image) error {
	if i.ClusterID != "" || r.ClusterID == "" {
		return fmt.Errorf("%w: cluster %q has a name already", errRecord, i.ClusterID)
	}
	i.ClusterID = r.ClusterID
	return nil
}

func (r *BrokerRecord) apply(i *Image) error {
	i.brokers[r.NodeID] = &Broker{
		NodeID: r.NodeID, Host: r.Host, Port: r.Port, Endpoints: r.Endpoints, Rack: r.Rack, Incarnation: r.Incarnation, Epoch: i.Index,
	}
	for _, name := range i.names {
		t := *i.topics[name]
		t.Partitions = slices.Clone(t.Partitions)
		for p := range t.Partitions {
			if t.Partitions[p].Leader == r.NodeID {
				t.Partitions[p].LeaderEpoch++
			}
		}
		i.setTopic(&t)
	}
	return nil
}

func (r *TopicRecord) apply(i *Image) error {
	if i.topics[r.Name] != nil || i.ids[r.ID] != nil || r.ID == (TopicID{}) || len(r.Partitions) == 0 {
		return fmt.Errorf("%w: topic %q (%s)", errRecord, r.Name, r.ID)
	}
	i.setTopic(&Topic{ID: r.ID, Name: r.Name, Partitions: r.Partitions, Configs: r.Configs, Internal: r.Internal})
	return nil
}

func (r *PartitionsRecord) apply(i *Image) error {
	old := i.ids[r.TopicID]
	if old == nil {
		return fmt.Errorf("%w: partitions of the unknown topic %s", errRecord, r.TopicID)
	}
	t := *old
	t.Partitions = slices.Concat(old.Partitions, r.Added)
	i.setTopic(&t)
	return nil
}

func (r *TopicRemovedRecord) apply(i *Image) error {
	t := i.ids[r.TopicID]
	if t == nil {
		return fmt.Errorf("%w: removal of the unknown topic %s", errRecord, r.TopicID)
	}
	delete(i.ids, t.ID)
	delete(i.topics, t.Name)
	at, _ := slices.BinarySearch(i.names, t.Name)
	i.names = slices.Delete(slices.Clone(i.names), at, at+1)
	return nil
}

func (r *ConfigRecord) apply(i *Image) error {
	if r.Kind == ResourceTopic {
		old := i.topics[r.Name]
		if old == nil {
			return fmt.Errorf("%w: config of the unknown topic %q", errRecord, r.Name)
		}
		t := *old
		t.Configs = withConfig(old.Configs, r.Key, r.Value)
		i.setTopic(&t)
		return nil
	}
	key := resource{r.Kind, r.Name}
	if c := withConfig(i.configs[key], r.Key, r.Value); len(c) > 0 {
		i.configs[key] = c
	} else {
		delete(i.configs, key)
	}
	return nil
}

// withConfig returns a copy of configs with one value set or removed.
func withConfig(configs map[string]string, key string, value *string) map[string]string {
	c := maps.Clone(configs)
	if value == nil {
		delete(c, key)
		return c
	}
	if c == nil {
		c = make(map[string]string)
	}
	c[key] = *value
	return c
}

func (r *ProducerIDsRecord) apply(i *Image) error {
	if r.Next < i.NextProducerID {
		return fmt.Errorf("%w: producer ids go back from %d to %d", errRecord, i.NextProducerID, r.Next)
	}
	i.NextProducerID = r.Next
	return nil
}
