// Package nodes runs Millrace's own broker and search node inside a test, as
// package peers runs those of others. A node listens on a free loopback port,
// keeps its data in a folder of the test, and is stopped in order when the test ends;
// an end with an error fails the test.
package nodes

import (
	"context"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/search"
)

// anyPort lets the node choose its port.
const anyPort = "127.0.0.1:0"

// Broker runs a broker node with default settings and returns its host:port.
func Broker(t testing.TB) string {
	t.Helper()
	return BrokerWith(t, func(*configs.Broker) {})
}

// BrokerWith is [Broker] with settings that change has made.
func BrokerWith(t testing.TB, change func(*configs.Broker)) string {
	t.Helper()
	cfg := configs.Default().Broker
	cfg.Listen = anyPort
	change(&cfg)
	n, err := broker.New(cfg, broker.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, n.Run)
	return n.Addr()
}

// Search runs a search node that keeps its indices for ever and returns its
// base URL.
func Search(t testing.TB) string {
	t.Helper()
	cfg := configs.Default().Search
	cfg.Listen, cfg.RetentionTime = anyPort, 0
	n, err := search.New(cfg, search.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, n.Run)
	return "http://" + n.Addr()
}

// Run runs a part of the product until the test ends.
func Run(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a node ended: %v", err)
		}
	})
}
