package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

// TestRefusedRecordsAreTold: a gap in a producer's sequence numbers is in the log, a
// batch that it repeats is not.
func TestRefusedRecordsAreTold(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	id := request[*kmsg.InitProducerIDResponse](t, c, 5, kmsg.NewPtrInitProducerIDRequest()).ProducerID
	send := func(sequence int32) int16 {
		t.Helper()
		return produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, &batch.Producer{ID: id, Sequence: sequence}, "a", "b"))).ErrorCode
	}
	for _, sequence := range []int32{0, 2, 0} {
		if code := send(sequence); code != 0 {
			t.Fatalf("sequence %d: %v", sequence, kerr.ErrorForCode(code))
		}
	}
	if got := n.log.count("records refused"); got != 0 {
		t.Errorf("%d lines about records that were taken", got)
	}
	if code := send(100); code != kerr.OutOfOrderSequenceNumber.Code {
		t.Fatalf("a gap: %v", kerr.ErrorForCode(code))
	}
	want := fmt.Sprintf("out of order sequence number: producer id %d", id)
	if n.log.count(`msg="records refused" topic=t partition=0`) != 1 || n.log.count(want) != 1 {
		t.Errorf("a gap is not told as %q", want)
	}
}
