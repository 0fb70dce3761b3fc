package core

// Config bounds and times a shard. The zero value of a field is not a default;
// start from [DefaultConfig].
type Config struct {
	// TimeoutMaxMs is the longest transaction timeout that a producer may ask
	// for (transaction.max.timeout.ms).
	TimeoutMaxMs int32
	// ExpirationMs is how long an id without transactions is remembered
	// (transactional.id.expiration.ms).
	ExpirationMs int64
	// ExpiryIntervalMs is the time between two looks for ids that expired
	// (transaction.remove.expired.transaction.cleanup.interval.ms).
	ExpiryIntervalMs int64
	// TimeoutIntervalMs is the time between two looks for transactions that ran
	// into their timeout (transaction.abort.timed.out.transaction.cleanup.interval.ms).
	TimeoutIntervalMs int64
	// WaitMs is how long a request to join the next transaction waits for the
	// last one to complete before it is answered with CONCURRENT_TRANSACTIONS
	// (add.partitions.to.txn.retry.backoff.max.ms).
	WaitMs int64
	// TransactionsMax bounds the transactional ids of the shard.
	TransactionsMax int
}

// waitersMax bounds the requests that wait for one transaction to complete.
const waitersMax = 64

// DefaultConfig returns Apache Kafka's defaults, with a bound where Kafka has
// none; timeouts are looked for each second, where Kafka does it every ten.
func DefaultConfig() Config {
	return Config{
		TimeoutMaxMs:      900_000,
		ExpirationMs:      7 * 24 * 3_600_000,
		ExpiryIntervalMs:  3_600_000,
		TimeoutIntervalMs: 1_000,
		WaitMs:            100,
		TransactionsMax:   50_000,
	}
}
