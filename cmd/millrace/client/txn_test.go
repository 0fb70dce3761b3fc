package client_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
)

// TestScriptsOfTransactions runs the same script against Apache Kafka and a node of our own.
func TestScriptsOfTransactions(t *testing.T) {
	t.Run("Apache Kafka", func(t *testing.T) { runTransactions(t, peers.Kafka(t).Bootstrap) })
	t.Run("Millrace", func(t *testing.T) { runTransactions(t, nodes.Broker(t)) })
}

// runTransactions leaves a transaction open and runs the scripts.
func runTransactions(t *testing.T, bootstrap string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.TransactionalID("forgotten"), kgo.TransactionTimeout(10*time.Minute), kgo.DefaultProduceTopic("open"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "open"); err != nil {
		t.Fatal(err)
	}
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("undecided")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	run(t, "testdata/transactions", "BROKERS="+bootstrap)
}
