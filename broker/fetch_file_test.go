package broker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/storage"
)

// TestLongFetchesAreWhatIsStored: what goes from the file to the socket without being read
// is what a read returns, in every form of the response around it.
func TestLongFetchesAreWhatIsStored(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n, kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range 20 {
		var records []*kgo.Record
		for j := range 40 {
			records = append(records, kgo.StringRecord(fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("v", 1000))))
		}
		if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	log, _ := n.store.Log(storage.TopicPartition{Topic: "t"})
	sent, ok := log.ReadInFile(0, 1<<20, storage.ReadOptions{})
	if !ok {
		t.Fatal("the batches are not in a file that they can be sent from")
	}
	sent.Release()
	for _, version := range []int16{4, 5, 7, 11, 12, 13, 15, 18} {
		// Fewer bytes than it waits for: read, let go of, and read again at the end.
		for _, minBytes := range []int32{1, 8 << 20} {
			for _, offset := range []int64{0, 37, 400} {
				want, err := log.Read(offset, 1<<20, storage.ReadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got := fetchOne(t, c, version, fetchRequest(n, "t", offset, 20*time.Millisecond, minBytes))
				if !bytes.Equal(got.RecordBatches, want.Data) || got.ErrorCode != 0 || got.HighWatermark != want.HighWatermark {
					t.Fatalf("v%d from %d: error %d, %d bytes instead of %d", version, offset, got.ErrorCode, len(got.RecordBatches), len(want.Data))
				}
				want.Release()
			}
		}
	}
}
