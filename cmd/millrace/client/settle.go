package client

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// settleWait is how long a command waits until what it has changed is seen by all:
	// brokers of Apache Kafka learn of changes after the controller has answered.
	settleWait = 10 * time.Second
	// settleInterval is the time between two looks.
	settleInterval = 25 * time.Millisecond
)

// settle looks until a change is seen. The change is done: a cluster that is slow to
// tell so is no error.
func settle(ctx context.Context, seen func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	for {
		if done, err := seen(); done || err != nil {
			return err
		}
		next := time.NewTimer(settleInterval)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return nil
		}
	}
}

// patiently does something again while its coordinator is chosen or still loads: it does so
// for moments when the first group of a cluster is made, and after a start.
func patiently(ctx context.Context, do func() error) error {
	var last error
	err := settle(ctx, func() (bool, error) {
		last = do()
		return !awaitsCoordinator(last), nil
	})
	if err != nil {
		return err
	}
	return last
}

func awaitsCoordinator(err error) bool {
	code := codeOf(err)
	return code == kerr.CoordinatorLoadInProgress || code == kerr.CoordinatorNotAvailable || code == kerr.NotCoordinator
}
