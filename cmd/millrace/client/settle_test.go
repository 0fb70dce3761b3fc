package client

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TestPatienceIsForCoordinatorsOnly: what loads is asked again, anything else is told at once.
func TestPatienceIsForCoordinatorsOnly(t *testing.T) {
	answers := []error{fmt.Errorf("offsets: %w", sarama.ErrOffsetsLoadInProgress), kerr.NotCoordinator, nil}
	asked := 0
	err := patiently(t.Context(), func() error {
		asked++
		return answers[asked-1]
	})
	if err != nil || asked != len(answers) {
		t.Errorf("%v after %d times", err, asked)
	}
	asked = 0
	err = patiently(t.Context(), func() error {
		asked++
		return kerr.NonEmptyGroup
	})
	if !errors.Is(err, kerr.NonEmptyGroup) || asked != 1 {
		t.Errorf("%v after %d times", err, asked)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = patiently(ended, func() error { return kerr.CoordinatorLoadInProgress })
	if !errors.Is(err, kerr.CoordinatorLoadInProgress) {
		t.Errorf("it gives up with %v", err)
	}
}
