package core

// Topic is what the metadata image knows about a topic.
type Topic struct {
	ID         [16]byte
	Partitions int32
	// Racks are those of each partition's replicas, by partition, each list in
	// order; nil when no broker has a rack.
	Racks [][]string
}

// Topics looks a topic up by name in the metadata image.
type Topics func(name string) (Topic, bool)

// Image is the cluster's metadata as the groups see it. What its methods
// return may change from one call of the shard to the next, and is never
// taken back: Version says when. It must be safe to use from the shard's goroutine.
type Image interface {
	// Version grows whenever topics or partitions are made or deleted.
	Version() int64
	// Topic looks a topic up by name.
	Topic(name string) (Topic, bool)
	// TopicName looks a topic's name up by its id.
	TopicName(id [16]byte) (string, bool)
	// TopicNames returns the names of all topics in order. It must not be changed.
	TopicNames() []string
	// GroupConfigs returns the configs that were set for a group, by Kafka's
	// names. It must not be changed.
	GroupConfigs(group string) map[string]string
}

// noImage is an image without topics.
type noImage struct{}

// Version implements [Image].
func (noImage) Version() int64 { return 0 }

// Topic implements [Image].
func (noImage) Topic(string) (Topic, bool) { return Topic{}, false }

// TopicName implements [Image].
func (noImage) TopicName([16]byte) (string, bool) { return "", false }

// TopicNames implements [Image].
func (noImage) TopicNames() []string { return nil }

// GroupConfigs implements [Image].
func (noImage) GroupConfigs(string) map[string]string { return nil }
