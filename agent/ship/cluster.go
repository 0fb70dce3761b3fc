package ship

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
)

// Topic is what the cluster says about a topic.
type Topic struct {
	// Cluster that the topic is in.
	Cluster string
	// ID of the topic, zero where the cluster is too old to have ids.
	ID sarama.Uuid
	// Leaders by partition; -1 where there is none.
	Leaders []int32
}

// connKey names a connection: a broker, and one of several to it.
type connKey struct {
	broker int32
	slot   int
}

// controlSlot is the connection for all that is not produce: answers come in
// the order of the requests, and metadata must not wait for a slow append.
const controlSlot = -1

// cluster knows brokers and topics, and holds the connections.
type cluster struct {
	kafka  configs.Kafka
	config *sarama.Config

	mu      sync.Mutex
	brokers map[int32]string
	topics  map[string]*Topic
	conns   map[connKey]*sarama.Broker
	closed  bool
}

func newCluster(k configs.Kafka, config *sarama.Config) *cluster {
	return &cluster{
		kafka: k, config: config,
		brokers: map[int32]string{}, topics: map[string]*Topic{}, conns: map[connKey]*sarama.Broker{},
	}
}

var (
	errNoLeader = errors.New("the partition has no leader now")
	errNoTopic  = errors.New("the topic is not there yet")
)

// topic returns what is known of a topic.
func (c *cluster) topic(name string) (*Topic, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.topics[name]
	return t, ok
}

// leader returns a connection to the leader of a partition.
func (c *cluster) leader(topic string, partition int32, slot int) (*sarama.Broker, error) {
	c.mu.Lock()
	t := c.topics[topic]
	if t == nil {
		c.mu.Unlock()
		return nil, errNoTopic
	}
	if int(partition) >= len(t.Leaders) || t.Leaders[partition] < 0 {
		c.mu.Unlock()
		return nil, errNoLeader
	}
	key := connKey{t.Leaders[partition], slot}
	addr, ok := c.brokers[key.broker]
	c.mu.Unlock()
	if !ok {
		return nil, errNoLeader
	}
	return c.connect(key, addr)
}

// connect returns the open connection with that key, opening it if needed.
func (c *cluster) connect(key connKey, addr string) (*sarama.Broker, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, sarama.ErrClosedClient
	}
	b := c.conns[key]
	if b == nil || b.Addr() != addr {
		b = sarama.NewBroker(addr)
		c.conns[key] = b
		if err := b.Open(c.config); err != nil {
			delete(c.conns, key)
			c.mu.Unlock()
			return nil, err
		}
	}
	c.mu.Unlock()
	if ok, err := b.Connected(); !ok {
		c.drop(b)
		if err == nil {
			err = sarama.ErrNotConnected
		}
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return b, nil
}

// drop forgets a connection and closes it; all that waits for an answer on it gets an error.
func (c *cluster) drop(b *sarama.Broker) {
	c.mu.Lock()
	for key, have := range c.conns {
		if have == b {
			delete(c.conns, key)
		}
	}
	c.mu.Unlock()
	closeQuietly(b)
}

// closeQuietly closes a connection that is of no more use: an error would
// only say that it was closed before.
func closeQuietly(b *sarama.Broker) {
	if err := b.Close(); err != nil {
		return
	}
}

func (c *cluster) close() {
	c.mu.Lock()
	conns := c.conns
	c.conns = map[connKey]*sarama.Broker{}
	c.closed = true
	c.mu.Unlock()
	for _, b := range conns {
		closeQuietly(b)
	}
}

// any calls use with a connection to each known broker, then to each seed,
// until one returns no error.
func (c *cluster) any(ctx context.Context, use func(*sarama.Broker) error) error {
	c.mu.Lock()
	addrs := map[connKey]string{}
	for id, addr := range c.brokers {
		addrs[connKey{id, controlSlot}] = addr
	}
	for i, addr := range c.kafka.Brokers {
		addrs[connKey{int32(-1 - i), controlSlot}] = addr
	}
	c.mu.Unlock()
	var errs []error
	for key, addr := range addrs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, err := c.connect(key, addr)
		if err == nil {
			if err = use(b); err == nil {
				return nil
			}
			if isNetwork(err) {
				c.drop(b)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// refresh asks for the metadata of the topics, and creates those that are not there.
func (c *cluster) refresh(ctx context.Context, names []string) error {
	var answer *sarama.MetadataResponse
	err := c.any(ctx, func(b *sarama.Broker) (err error) {
		answer, err = b.GetMetadata(sarama.NewMetadataRequest(c.config.Version, names))
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for metadata: %w", err)
	}
	var errs []error
	topics := map[string]*Topic{}
	cluster := ""
	if answer.ClusterID != nil {
		cluster = *answer.ClusterID
	}
	for _, t := range answer.Topics {
		switch {
		case errors.Is(t.Err, sarama.ErrUnknownTopicOrPartition):
			errs = append(errs, c.create(ctx, t.Name))
		case errors.Is(t.Err, sarama.ErrNoError), errors.Is(t.Err, sarama.ErrLeaderNotAvailable):
			if len(t.Partitions) > 0 {
				topics[t.Name] = topicOf(t, cluster)
			}
		default:
			errs = append(errs, fmt.Errorf("topic %s: %w", t.Name, t.Err))
		}
	}
	for _, name := range names {
		if topics[name] == nil {
			errs = append(errs, fmt.Errorf("topic %s: %w", name, errNoTopic))
		}
	}
	c.install(answer.Brokers, topics)
	return errors.Join(errs...)
}

func topicOf(t *sarama.TopicMetadata, cluster string) *Topic {
	topic := &Topic{Cluster: cluster, ID: t.Uuid, Leaders: make([]int32, len(t.Partitions))}
	for i := range topic.Leaders {
		topic.Leaders[i] = -1
	}
	for _, p := range t.Partitions {
		if int(p.ID) < len(topic.Leaders) && p.ID >= 0 {
			topic.Leaders[p.ID] = p.Leader
		}
	}
	return topic
}

func (c *cluster) install(brokers []*sarama.Broker, topics map[string]*Topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(brokers) > 0 {
		clear(c.brokers)
		for _, b := range brokers {
			c.brokers[b.ID()] = b.Addr()
		}
	}
	maps.Copy(c.topics, topics)
}

// create makes a topic. Where that is forbidden, the cluster is asked to
// create it by itself.
func (c *cluster) create(ctx context.Context, name string) error {
	request := sarama.NewCreateTopicsRequest(c.config.Version, map[string]*sarama.TopicDetail{
		name: {NumPartitions: c.kafka.Partitions, ReplicationFactor: c.kafka.ReplicationFactor},
	}, 10*time.Second, false)
	err := c.any(ctx, func(b *sarama.Broker) error {
		answer, err := b.CreateTopics(request)
		if err != nil {
			return err
		}
		if e := answer.TopicErrors[name]; e != nil && !errors.Is(e.Err, sarama.ErrNoError) && !errors.Is(e.Err, sarama.ErrTopicAlreadyExists) {
			return e
		}
		return nil
	})
	if err == nil {
		return nil
	}
	auto := sarama.NewMetadataRequest(c.config.Version, []string{name})
	auto.AllowAutoTopicCreation = true
	autoErr := c.any(ctx, func(b *sarama.Broker) error {
		_, err := b.GetMetadata(auto)
		return err
	})
	return errors.Join(fmt.Errorf("create topic %s: %w", name, err), autoErr)
}

// producerID takes a new producer id.
func (c *cluster) producerID(ctx context.Context) (id int64, epoch int16, err error) {
	err = c.any(ctx, func(b *sarama.Broker) error {
		answer, err := b.InitProducerID(&sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		if !errors.Is(answer.Err, sarama.ErrNoError) {
			return answer.Err
		}
		id, epoch = answer.ProducerID, answer.ProducerEpoch
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("take a producer id: %w", err)
	}
	return id, epoch, nil
}

// lastSequence asks the leader for the last sequence that it has of a producer. ok is false
// where the broker does not answer that question or does not know the producer.
func (c *cluster) lastSequence(topic string, partition int32, producer int64, epoch int16) (sequence int32, ok bool, err error) {
	b, err := c.leader(topic, partition, controlSlot)
	if err != nil {
		return 0, false, err
	}
	answer, err := b.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{partition}}},
	})
	switch {
	case errors.Is(err, sarama.ErrUnsupportedVersion):
		return 0, false, nil
	case err != nil:
		c.drop(b)
		return 0, false, err
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			for _, s := range p.ActiveProducers {
				if t.Name == topic && p.PartitionIndex == partition && s.ProducerID == producer && s.ProducerEpoch == int32(epoch) {
					return s.LastSequence, true, nil
				}
			}
		}
	}
	return 0, false, nil
}
