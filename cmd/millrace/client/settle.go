package client

import (
	"context"
	"time"
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
