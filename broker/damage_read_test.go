package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDamagedRecordsAreNamedWhenTheyAreRead: damage in a closed segment, which a start does
// not read, is found by a consumer. It gets CORRUPT_MESSAGE, as from Apache Kafka, and the log
// says where the damage is; what lies around it is served.
func TestDamagedRecordsAreNamedWhenTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, map[string]*string{"internal.segment.bytes": new("4096")})
	c := newClient(t, n, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 12 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: make([]byte, 1000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(n.logDir(), "t-0", "00000000000000000000.log")
	n.stop()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}

	n = startNode(t, dir, testConfig())
	c = newClient(t, n)
	fetch := func(offset int64) kmsg.FetchResponseTopicPartition {
		return fetchOne(t, c, 12, fetchRequest(n, "t", offset, 0, 1))
	}
	const damaged, behind = 2, 3 // three batches are in a segment
	for range 5 {
		if got := fetch(damaged); got.ErrorCode != kerr.CorruptMessage.Code {
			t.Errorf("a fetch of damaged records: %v, want %v", kerr.ErrorForCode(got.ErrorCode), kerr.CorruptMessage)
		}
	}
	for _, offset := range []int64{0, damaged - 1, behind} {
		if got := fetch(offset); got.ErrorCode != 0 || len(got.RecordBatches) == 0 {
			t.Errorf("a fetch of offset %d: %v, %d bytes", offset, kerr.ErrorForCode(got.ErrorCode), len(got.RecordBatches))
		}
	}
	if text := n.log.String(); n.log.count("stored records are damaged") == 0 || !strings.Contains(text, name+" is corrupt at byte ") || !strings.Contains(text, "(offset 2)") {
		t.Errorf("the log does not name file and offset:\n%s", text)
	}
}
