package capacity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
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
	p.Eventually(time.Minute, "producers may write again", func() error {
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

// Without a reserve the disk is full to the last byte, whatever is written at
// that moment: batches, new segments, checkpoints, snapshots, metadata. Nothing
// that was acknowledged is lost, and the broker goes on when there is room.
func TestNothingIsLostOnADiskThatIsFull(t *testing.T) {
	p := process.New(t, binary, "broker: {segment_size: 1MiB, disk_reserve: 1, offsets_partitions: 1}\n", "broker")
	dir := tmpfs(t, p, "48m")
	filler := filepath.Join(dir, "filler")
	p.Start()
	c := client(t, p)
	admin := kadm.NewClient(c)
	createTopics(t, c, 1, "a", "b")
	ledgers := map[string]ledger{"a": {}, "b": {}}
	for round := range 3 {
		c := client(t, p) // one that does not know the topics of the last round
		if err := os.WriteFile(filler, make([]byte, 8<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := fill(t, c, ledgers, "a", "b"); !errors.Is(err, kerr.KafkaStorageError) {
				t.Fatalf("round %d: %v, want KAFKA_STORAGE_ERROR\n%s", round, err, p.Logs())
			}
		}
		once := kadm.NewClient(client(t, p, kgo.RequestRetries(0))) // each answer is seen
		// Metadata and offsets too are refused, or taken and kept.
		made := fmt.Sprintf("made-%d", round)
		refused := 0
		for n := range 20 {
			offsets := kadm.Offsets{}
			offsets.Add(kadm.Offset{Topic: "a", Partition: 0, At: int64(n), LeaderEpoch: -1, Metadata: strings.Repeat("m", 4000)})
			if committed, err := once.CommitOffsets(t.Context(), "group", offsets); err != nil || committed.Error() != nil {
				refused++
			}
		}
		response, err := once.CreateTopic(t.Context(), 50, 1, nil, made)
		t.Logf("round %d: %d of 20 commits refused; create topic: %v %v", round, refused, response.Err, err)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		for topic, l := range ledgers {
			p.Eventually(time.Minute, topic+" takes records again", func() error {
				r, err := produce(t, c, topic)
				if err == nil {
					l.add(r)
				}
				return err
			})
		}
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: "a", Partition: 0, At: int64(1000 + round), LeaderEpoch: -1})
		if committed, err := admin.CommitOffsets(t.Context(), "group", offsets); err != nil || committed.Error() != nil {
			t.Fatalf("commit of offsets when there is room: %v, %v", err, committed.Error())
		}
		createTopics(t, c, 1, made+"-after")
		if got := strings.Count(p.Logs(), "log taken offline"); got != 0 {
			t.Fatalf("round %d: %d logs were taken offline\n%s", round, got, p.Logs())
		}
		p.Kill()
		p.Start()
		for topic, l := range ledgers {
			l.check(t, p, topic)
		}
		fetched, err := admin.FetchOffsets(t.Context(), "group")
		if o, ok := fetched.Lookup("a", 0); err != nil || !ok || o.At != int64(1000+round) {
			t.Errorf("round %d: committed offset after the kill: %v (%v), %v", round, o.At, ok, err)
		}
		// Room for the next round: everything but the newest goes.
		if _, err := admin.DeleteTopic(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		createTopics(t, c, 1, "b")
		ledgers["b"] = ledger{}
	}
}
