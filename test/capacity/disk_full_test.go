package capacity

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/test/process"
)

const valueBytes = 48 << 10

func freeBytes(t testing.TB, dir string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

func produce(t testing.TB, c *kgo.Client, topic string) (*kgo.Record, error) {
	t.Helper()
	value := make([]byte, valueBytes)
	rand.Read(value)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).First()
}

// fill produces to topics in turn until the broker refuses.
func fill(t testing.TB, c *kgo.Client, ledgers map[string]ledger, topics ...string) error {
	t.Helper()
	for n := range 10_000 {
		topic := topics[n%len(topics)]
		r, err := produce(t, c, topic)
		if err != nil {
			return err
		}
		ledgers[topic].add(r)
	}
	t.Fatal("the disk does not fill")
	return nil
}

func readyz(t testing.TB, p *process.Process) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + p.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// The disk is nearly full: producers are refused while there is still room
// for everything else, and go on by themselves after a topic was deleted.
func TestProducersAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	p := process.New(t, binary, "broker: {segment_size: 1MiB}\n", "broker")
	dir := tmpfs(t, p, "64m")
	p.Start()
	c := client(t, p)
	admin := kadm.NewClient(c)
	createTopics(t, c, 1, "kept", "deleted")
	ledgers := map[string]ledger{"kept": {}, "deleted": {}}
	err := fill(t, c, ledgers, "kept", "deleted")
	if !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("refused with %v, want KAFKA_STORAGE_ERROR\n%s", err, p.Logs())
	}
	const reserve = 64 << 20 / 20
	if free := freeBytes(t, dir); free < reserve/2 || free > 2*reserve {
		t.Errorf("refused with %d bytes free, the reserve is %d", free, reserve)
	}
	// What is not a producer goes on.
	ledgers["kept"].check(t, p, "kept")
	for n := range 50 {
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: "kept", Partition: 0, At: int64(n), LeaderEpoch: -1})
		if committed, err := admin.CommitOffsets(t.Context(), "group", offsets); err != nil || committed.Error() != nil {
			t.Fatalf("commit of offsets: %v, %v", err, committed.Error())
		}
	}
	createTopics(t, c, 1, "made-meanwhile")
	status, text := readyz(t, p)
	if status != http.StatusOK || !strings.Contains(text, "producers are refused") {
		t.Errorf("/readyz says %d %q", status, text)
	}
	metrics, err := p.Metrics()
	if err != nil || metrics["millrace_broker_storage_writes_refused"] != 1 || metrics["millrace_broker_storage_refused_appends_total"] == 0 {
		t.Errorf("metrics: refused %v, appends %v, %v", metrics["millrace_broker_storage_writes_refused"], metrics["millrace_broker_storage_refused_appends_total"], err)
	}
	if got := strings.Count(p.Logs(), "the disk is nearly full"); got != 1 {
		t.Errorf("%d log lines about the full disk, want 1", got)
	}

	if _, err := admin.DeleteTopic(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	p.Eventually(20*time.Second, "producers may write again", func() error {
		r, err := produce(t, c, "kept")
		if err == nil {
			ledgers["kept"].add(r)
		}
		return err
	})
	p.Kill()
	p.Start()
	ledgers["kept"].check(t, p, "kept")
	fetched, err := kadm.NewClient(client(t, p)).FetchOffsets(t.Context(), "group")
	if o, ok := fetched.Lookup("kept", 0); err != nil || !ok || o.At != 49 {
		t.Errorf("committed offset after the kill: %v (%v), %v", o.At, ok, err)
	}
}
