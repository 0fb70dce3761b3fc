package configs

// Broker is the embedded broker node. Its data lives in <data_dir>/broker.
type Broker struct {
	// Listen is the host:port of the Kafka protocol listener; port 0 takes a
	// free one.
	Listen string `yaml:"listen"`
	// Advertised is the host:port that clients are told to connect to; empty
	// means the address that is listened on.
	Advertised string `yaml:"advertised"`
	// Listeners stand in place of listen and advertised where there are several, or
	// where clients use TLS or SASL.
	Listeners []Listener `yaml:"listeners"`
	// InterBrokerListener is the name of the listener that Millrace's own parts
	// connect to; empty means the first (inter.broker.listener.name).
	InterBrokerListener string `yaml:"inter_broker_listener"`
	// Users who may connect to listeners with SASL. For SCRAM they are those that
	// there are at the first start; later they are changed by clients.
	Users []User `yaml:"users"`
	// HandshakeTimeout is how long a new connection may take to negotiate TLS and
	// to authenticate.
	HandshakeTimeout Duration `yaml:"handshake_timeout" min:"100ms"`
	// NodeID is this broker's id in the cluster.
	NodeID int32 `yaml:"node_id" min:"0"`
	// AutoCreateTopics creates a topic when a client asks for the metadata of
	// one that is not there.
	AutoCreateTopics bool `yaml:"auto_create_topics"`
	// DefaultPartitions of a topic created without a number.
	DefaultPartitions int32 `yaml:"default_partitions" min:"1"`
	// Durability is fsync (an acks=all produce is answered after fdatasync) or
	// os (after the write; the operating system decides when it is on disk).
	Durability string `yaml:"durability" oneof:"fsync os"`
	// RetentionTime is how long records are kept by default (retention.ms).
	RetentionTime Duration `yaml:"retention_time"`
	// RetentionSize is how much of each partition is kept by default
	// (retention.bytes); -1 has no limit.
	RetentionSize int64 `yaml:"retention_bytes" min:"-1"`
	// SegmentSize is the size at which a segment file is rolled (segment.bytes).
	SegmentSize Size `yaml:"segment_size" min:"1MiB"`
	// SegmentTime is the age at which a segment file is rolled (segment.ms).
	SegmentTime Duration `yaml:"segment_time" min:"1s"`
	// RetentionCheckInterval is the time between two looks for segments to delete.
	RetentionCheckInterval Duration `yaml:"retention_check_interval" min:"100ms"`
	// DiskReserve is kept free on the disk of the logs: below it producers are
	// refused, while fetches, offset commits, deletions and retention go on. 0 is
	// 1 GiB, but not more than 5 % of the disk.
	DiskReserve Size `yaml:"disk_reserve"`
	// OpenFiles bounds the segment files that are open at once. 0 takes what the
	// process's limit (ulimit -n) leaves after the connections.
	OpenFiles int `yaml:"open_files" min:"0"`
	// MessageMax is the largest record batch that is accepted (message.max.bytes).
	MessageMax Size `yaml:"message_max" min:"1KiB"`
	// RequestMax is the largest request frame that is read (socket.request.max.bytes).
	RequestMax Size `yaml:"request_max" min:"64KiB"`
	// RequestMemory bounds the bytes of all requests and responses in work.
	RequestMemory Size `yaml:"request_memory" min:"1MiB"`
	// ConnectionsMax bounds the number of open client connections.
	ConnectionsMax int `yaml:"connections_max" min:"1"`
	// ConnectionsMaxPerIP bounds the open connections from one address; 0 has no
	// limit (max.connections.per.ip).
	ConnectionsMaxPerIP int `yaml:"connections_max_per_ip" min:"0"`
	// ConnectionsMaxPerIPOverrides are other limits for single addresses, as
	// 10.0.0.1:200 (max.connections.per.ip.overrides).
	ConnectionsMaxPerIPOverrides []string `yaml:"connections_max_per_ip_overrides"`
	// IdleTimeout closes a connection without requests (connections.max.idle.ms).
	IdleTimeout Duration `yaml:"idle_timeout" min:"1s"`
	// ProducerIDExpiration is how long an idle producer's sequences are
	// remembered (producer.id.expiration.ms).
	ProducerIDExpiration Duration `yaml:"producer_id_expiration" min:"1m"`
	// OffsetsPartitions is the number of partitions of __consumer_offsets,
	// used when that topic is created.
	OffsetsPartitions int32 `yaml:"offsets_partitions" min:"1"`
	// GroupInitialRebalanceDelay is how long an empty group waits for more
	// members before its first rebalance (group.initial.rebalance.delay.ms).
	GroupInitialRebalanceDelay Duration `yaml:"group_initial_rebalance_delay"`
	// GroupSessionTimeoutMin is the shortest session timeout that a group member
	// may ask for (group.min.session.timeout.ms).
	GroupSessionTimeoutMin Duration `yaml:"group_session_timeout_min"`
	// GroupSessionTimeoutMax is the longest session timeout that a group member
	// may ask for (group.max.session.timeout.ms).
	GroupSessionTimeoutMax Duration `yaml:"group_session_timeout_max"`
	// GroupConsumerSessionTimeout is the session timeout of the members of
	// groups of the consumer protocol that have no config of their own
	// (group.consumer.session.timeout.ms).
	GroupConsumerSessionTimeout Duration `yaml:"group_consumer_session_timeout" min:"1s"`
	// GroupConsumerSessionTimeoutMin is the shortest that a group can be given
	// (group.consumer.min.session.timeout.ms).
	GroupConsumerSessionTimeoutMin Duration `yaml:"group_consumer_session_timeout_min" min:"1s"`
	// GroupConsumerSessionTimeoutMax is the longest that a group can be given
	// (group.consumer.max.session.timeout.ms).
	GroupConsumerSessionTimeoutMax Duration `yaml:"group_consumer_session_timeout_max" min:"1s"`
	// GroupConsumerHeartbeatInterval is how often members of such groups are
	// told to send heartbeats (group.consumer.heartbeat.interval.ms).
	GroupConsumerHeartbeatInterval Duration `yaml:"group_consumer_heartbeat_interval" min:"100ms"`
	// GroupConsumerHeartbeatIntervalMin is the shortest that a group can be
	// given (group.consumer.min.heartbeat.interval.ms).
	GroupConsumerHeartbeatIntervalMin Duration `yaml:"group_consumer_heartbeat_interval_min" min:"100ms"`
	// GroupConsumerHeartbeatIntervalMax is the longest that a group can be
	// given (group.consumer.max.heartbeat.interval.ms).
	GroupConsumerHeartbeatIntervalMax Duration `yaml:"group_consumer_heartbeat_interval_max" min:"100ms"`
	// GroupMigrationPolicy says which groups may change between the classic and
	// the consumer protocol while they have members
	// (group.consumer.migration.policy).
	GroupMigrationPolicy string `yaml:"group_migration_policy" oneof:"bidirectional upgrade downgrade disabled"`
	// GroupMembersMax bounds the members of one consumer group (group.max.size).
	GroupMembersMax int `yaml:"group_members_max"`
	// GroupsMax bounds the consumer groups of each partition of __consumer_offsets.
	GroupsMax int `yaml:"groups_max"`
	// OffsetsRetention is how long committed offsets are kept after their
	// group has become empty (offsets.retention.minutes).
	OffsetsRetention Duration `yaml:"offsets_retention"`
	// OffsetMetadataMax is the largest metadata that can be committed with an
	// offset (offset.metadata.max.bytes).
	OffsetMetadataMax Size `yaml:"offset_metadata_max"`
	// Cleaner compacts the logs of topics with cleanup.policy=compact.
	Cleaner Cleaner `yaml:"cleaner"`
	// TransactionsPartitions is the number of partitions of __transaction_state,
	// used when that topic is created (transaction.state.log.num.partitions).
	TransactionsPartitions int32 `yaml:"transactions_partitions" min:"1"`
	// TransactionTimeoutMax is the longest transaction timeout that a producer
	// may ask for (transaction.max.timeout.ms).
	TransactionTimeoutMax Duration `yaml:"transaction_timeout_max" min:"1s"`
	// TransactionalIDExpiration is how long a transactional id without a
	// transaction is remembered (transactional.id.expiration.ms).
	TransactionalIDExpiration Duration `yaml:"transactional_id_expiration" min:"1s"`
	// Configs are defaults of topic configs under the names that Apache Kafka has
	// for them in server.properties, for instance min.insync.replicas: those that have
	// no key of their own here.
	Configs map[string]string `yaml:"configs"`
	// Authorizer decides what clients may do.
	Authorizer Authorizer `yaml:"authorizer"`
}

// Cleaner is how logs are compacted. All of it can be changed while the broker
// runs, under Kafka's names.
type Cleaner struct {
	// Threads is how many logs are compacted at once (log.cleaner.threads); 0
	// turns compaction off (log.cleaner.enable).
	Threads int `yaml:"threads" min:"0"`
	// Memory bounds what the keys of the logs take that are being compacted,
	// 24 bytes each (log.cleaner.dedupe.buffer.size). A log with more keys takes several passes.
	Memory Size `yaml:"memory" min:"1MiB"`
	// BytesPerSecondMax bounds what compaction reads and writes
	// (log.cleaner.io.max.bytes.per.second); 0 has no limit.
	BytesPerSecondMax Size `yaml:"bytes_per_second_max"`
	// Backoff is the time between two looks for a log that is dirty enough
	// (log.cleaner.backoff.ms).
	Backoff Duration `yaml:"backoff" min:"1ms"`
}

// Authorizer decides what clients may do, by access control lists (millrace acl).
// When it is on, what nobody has allowed is denied.
type Authorizer struct {
	// Enabled turns it on (authorizer.class.name).
	Enabled bool `yaml:"enabled"`
	// SuperUsers are principals, as User:admin, that may do everything (super.users).
	SuperUsers []string `yaml:"super_users"`
	// AllowEveryoneIfNoACL opens every resource that no list mentions
	// (allow.everyone.if.no.acl.found).
	AllowEveryoneIfNoACL bool `yaml:"allow_everyone_if_no_acl"`
}
