package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/storage"
)

func TestLeaderEpochErrorsHaveTheirCodes(t *testing.T) {
	for err, want := range map[error]*kerr.Error{
		storage.ErrFenced:             kerr.FencedLeaderEpoch,
		storage.ErrUnknownLeaderEpoch: kerr.UnknownLeaderEpoch,
	} {
		if got := codeOf(fmt.Errorf("%w: 7, the log's is 5", err)); got != want.Code {
			t.Errorf("%v: %v, want %v", err, kerr.ErrorForCode(got), want)
		}
	}
}
