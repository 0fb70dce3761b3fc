package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// part is one running room.
type part struct {
	name string
	run  func(context.Context) error
}

// outcome is how a part ended.
type outcome struct {
	stage int
	name  string
	err   error
}

// ErrStopTimeout is returned when parts had not ended when the time for an
// orderly stop was over.
var ErrStopTimeout = errors.New("the orderly stop was cut short")

// runStages runs the parts of all stages until ctx ends or one part ends by
// itself, and then stops one stage after the other, the first one first. It
// returns the first error of a part.
func runStages(ctx context.Context, stages [][]part, stopTimeout time.Duration, log *slog.Logger) error {
	base := context.WithoutCancel(ctx)
	cancels := make([]context.CancelFunc, len(stages))
	running := make([]int, len(stages))
	total := 0
	for _, parts := range stages {
		total += len(parts)
	}
	ended := make(chan outcome, total) // one slot a part: no part ever waits to end
	for i, parts := range stages {
		var stageCtx context.Context
		stageCtx, cancels[i] = context.WithCancel(base)
		defer cancels[i]()
		running[i] = len(parts)
		for _, p := range parts {
			go func() { ended <- outcome{i, p.name, p.run(stageCtx)} }()
		}
	}
	var first error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case o := <-ended:
		running[o.stage]--
		first = unexpected(o)
		log.Error("a part has failed, stopping the others", "part", o.name, "error", first)
	}
	return errors.Join(first, stopStages(stages, cancels, running, ended, stopTimeout))
}

func unexpected(o outcome) error {
	if o.err == nil {
		return fmt.Errorf("%s ended by itself", o.name)
	}
	return fmt.Errorf("%s: %w", o.name, o.err)
}

// stopStages cancels each stage in turn and waits for its parts.
func stopStages(stages [][]part, cancels []context.CancelFunc, running []int, ended <-chan outcome, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	var first error
	for i := range stages {
		cancels[i]()
		for running[i] > 0 {
			select {
			case o := <-ended:
				running[o.stage]--
				if o.err != nil && first == nil {
					first = fmt.Errorf("%s: %w", o.name, o.err)
				}
			case <-deadline.C:
				return errors.Join(first, fmt.Errorf("%w after %s: a part of stage %d still runs; nothing is lost, the next start goes on where it was", ErrStopTimeout, timeout, i))
			}
		}
	}
	return first
}
