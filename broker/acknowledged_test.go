package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAcknowledgedRecordsCount: what a client was told under acks=1 is below the
// latest offset, found by its timestamp, and can be deleted at once, though it is
// not flushed when the client is told.
func TestAcknowledgedRecordsCount(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "acked", 1, nil)
	c := newClient(t, n, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic("acked"))
	admin := newAdmin(t, n)
	for want := int64(1); want <= 50; want++ {
		record := kgo.StringRecord(fmt.Sprint(want))
		if err := c.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		switch want % 3 {
		case 0:
			ends, err := admin.ListEndOffsets(t.Context(), "acked")
			if at, _ := ends.Lookup("acked", 0); err != nil || at.Err != nil || at.Offset != want {
				t.Fatalf("the end is %+v with %d records: %v", at, want, err)
			}
		case 1:
			found, err := admin.ListOffsetsAfterMilli(t.Context(), record.Timestamp.UnixMilli(), "acked")
			if at, _ := found.Lookup("acked", 0); err != nil || at.Err != nil || at.Offset >= want {
				t.Fatalf("by the timestamp of record %d: %+v, %v", want, at, err)
			}
		default:
			var offsets kadm.Offsets
			offsets.AddOffset("acked", 0, want, -1)
			deleted, err := admin.DeleteRecords(t.Context(), offsets)
			if at, _ := deleted.Lookup("acked", 0); err != nil || at.Err != nil || at.LowWatermark != want {
				t.Fatalf("deleted before %d: %+v, %v", want, at, err)
			}
		}
	}
}
