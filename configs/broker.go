package configs

// Broker is the embedded broker node. Its data lives in <data_dir>/broker.
type Broker struct {
	// Listen is the host:port of the Kafka protocol listener; port 0 takes a
	// free one.
	Listen string `yaml:"listen"`
	// Advertised is the host:port that clients are told to connect to; empty
	// means the address that is listened on.
	Advertised string `yaml:"advertised"`
	// NodeID is this broker's id in the cluster.
	NodeID int32 `yaml:"node_id"`
	// AutoCreateTopics creates a topic when a client asks for the metadata of
	// one that is not there.
	AutoCreateTopics bool `yaml:"auto_create_topics"`
	// DefaultPartitions of a topic created without a number.
	DefaultPartitions int32 `yaml:"default_partitions"`
	// Durability is fsync (an acks=all produce is answered after fdatasync) or
	// os (after the write; the operating system decides when it is on disk).
	Durability string `yaml:"durability"`
	// RetentionTime is how long records are kept by default (retention.ms).
	RetentionTime Duration `yaml:"retention_time"`
	// RetentionSize is how much of each partition is kept by default
	// (retention.bytes); -1 has no limit.
	RetentionSize int64 `yaml:"retention_bytes"`
	// SegmentSize is the size at which a segment file is rolled (segment.bytes).
	SegmentSize Size `yaml:"segment_size"`
	// SegmentTime is the age at which a segment file is rolled (segment.ms).
	SegmentTime Duration `yaml:"segment_time"`
	// RetentionCheckInterval is the time between two looks for segments to delete.
	RetentionCheckInterval Duration `yaml:"retention_check_interval"`
	// MessageMax is the largest record batch that is accepted (message.max.bytes).
	MessageMax Size `yaml:"message_max"`
	// RequestMax is the largest request frame that is read (socket.request.max.bytes).
	RequestMax Size `yaml:"request_max"`
	// RequestMemory bounds the bytes of all requests and responses in work.
	RequestMemory Size `yaml:"request_memory"`
	// ConnectionsMax bounds the number of open client connections.
	ConnectionsMax int `yaml:"connections_max"`
	// IdleTimeout closes a connection without requests (connections.max.idle.ms).
	IdleTimeout Duration `yaml:"idle_timeout"`
	// ProducerIDExpiration is how long an idle producer's sequences are
	// remembered (producer.id.expiration.ms).
	ProducerIDExpiration Duration `yaml:"producer_id_expiration"`
	// OffsetsPartitions is the number of partitions of __consumer_offsets,
	// used when that topic is created.
	OffsetsPartitions int32 `yaml:"offsets_partitions"`
	// GroupInitialRebalanceDelay is how long an empty group waits for more
	// members before its first rebalance (group.initial.rebalance.delay.ms).
	GroupInitialRebalanceDelay Duration `yaml:"group_initial_rebalance_delay"`
}
