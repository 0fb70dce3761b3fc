package storage

// Store is all logs of one broker.
type Store struct{}

// Open locks and recovers the data directory. Logs that are damaged are
// opened offline; Open fails only for what concerns the whole directory
// (ErrLocked, ErrNewerFormat, I/O errors).
func Open(cfg Config) (*Store, error) { panic("skeleton") }

// CreateLog opens or creates the log of a partition and sets its
// configuration and leader epoch. A log on disk with another topic id is
// refused with ErrTopicID. On return a new log's directory is durable.
func (s *Store) CreateLog(id TopicPartition, topicID [16]byte, cfg LogConfig, leaderEpoch int32) (*Log, error) {
	panic("skeleton")
}

// Log returns a log that exists.
func (s *Store) Log(id TopicPartition) (*Log, bool) { panic("skeleton") }

// Logs returns all logs, in the order of their names.
func (s *Store) Logs() []*Log { panic("skeleton") }

// DeleteLog removes a log: its directory is renamed (durable on return), then
// its files are removed in the background. A log that is not there is no error.
func (s *Store) DeleteLog(id TopicPartition) error { panic("skeleton") }

// EnforceRetention deletes what has expired, in all logs that CreateLog was
// called for, and forgets expired producer ids. The store also does so by itself.
func (s *Store) EnforceRetention() error { panic("skeleton") }

// Close flushes all logs, writes checkpoints and the clean-shutdown marker and
// ends the store's goroutines. Waiters get ErrClosed.
func (s *Store) Close() error { panic("skeleton") }
