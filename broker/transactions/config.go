package transactions

import "github.com/millrace/millrace/configs"

// ConfigOf returns the configuration of transactions that a broker's says;
// what is 0 there is Apache Kafka's default.
func ConfigOf(b configs.Broker) Config {
	c := DefaultConfig()
	if ms := b.TransactionTimeoutMax.D().Milliseconds(); ms > 0 {
		c.TimeoutMaxMs = int32(min(ms, 1<<31-1))
	}
	if ms := b.TransactionalIDExpiration.D().Milliseconds(); ms > 0 {
		c.ExpirationMs = ms
	}
	return c
}
