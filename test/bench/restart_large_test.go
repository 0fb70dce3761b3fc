package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

const (
	// largeMiB is in each partition of a large restart, largeTailMiB in all of them
	// together beyond their recovery points: a little less than what Millrace lets there be.
	largeMiB, largeTailMiB = 100, 240
	// copiedBytes are taken of both ends of a segment that is copied.
	copiedBytes = 1 << 20

	largeNote = "With 100 MiB in each partition Millrace alone: its first partition is produced, the others are copies of its files, whose segments are holes but for the first and the last MiB, " +
		"because 100 GiB do not fit this disk; then all partitions are produced to, and the process is killed. What a start reads is written by the broker: a hole would be damage, and all partitions must be there with their last records. " +
		"Apache Kafka reads the segment that is written from its beginning after a kill."
)

// restartLarge kills and starts a broker with much data.
func restartLarge(t testing.TB, binary string, tab *table) {
	const topic = "large"
	p := run(t, binary, "", "broker")
	s := restarted{"Millrace fsync", p.Broker, p.Kill, p.Start}
	g := generator{t, s.bootstrap}
	g.createTopic(topic, startPartitions)
	g.fillPartition(topic, 0, largeMiB*mib*scale(t)/100)
	end := g.endOffsets(topic)[0]
	stopInOrder(t, p.Terminate)
	if err := copyPartitions(p.Dir, topic, startPartitions); err != nil {
		t.Fatal(err)
	}
	unix.Sync() // a start waits for the disk, which is not to be busy with the copies
	p.Start()
	tail := loadCase{recordBytes: 1024, partitions: startPartitions, producers: 1, codec: kgo.NoCompression(), bytes: largeTailMiB * mib * scale(t) / 100}
	want := end * startPartitions
	for range runs(t) {
		g.produce(topic, tail)
		s.kill()
		tab.add(fmt.Sprintf("%d MiB in each partition, %d MiB of them written just before", largeMiB, largeTailMiB), s.name, s.begin(t, topic).Seconds())
		want += int64(tail.records()) + 1
		if got := sum(g.endOffsets(topic)); got != want {
			t.Fatalf("%d records are there after a kill, want %d", got, want)
		}
	}
	s.kill()
}

func stopInOrder(t testing.TB, terminate func() (time.Duration, error)) {
	t.Helper()
	if _, err := terminate(); err != nil {
		t.Fatal(err)
	}
}

// fillPartition produces records of 1 KiB to one partition.
func (g generator) fillPartition(topic string, partition int32, bytes int64) {
	g.t.Helper()
	client := g.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(16<<10), kgo.MaxBufferedRecords(20_000))
	defer client.Close()
	value := logLike(1024)
	first := kgo.AbortingFirstErrPromise(client)
	for range bytes / 1024 {
		client.Produce(g.t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: value}, first.Promise())
	}
	if err := first.Err(); err != nil {
		g.t.Fatal(err)
	}
}

// endOffsets returns the end of each partition of a topic.
func (g generator) endOffsets(topic string) map[int32]int64 {
	g.t.Helper()
	client := g.client()
	defer client.Close()
	all, err := kadm.NewClient(client).ListEndOffsets(g.t.Context(), topic)
	if err == nil {
		err = all.Error()
	}
	if err != nil {
		g.t.Fatal(err)
	}
	ends := map[int32]int64{}
	all.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends
}

func sum(ends map[int32]int64) int64 {
	total := int64(0)
	for _, end := range ends {
		total += end
	}
	return total
}

// copyPartitions gives all partitions of a topic the content of the first one, in the
// data directory of a broker that was stopped in order.
func copyPartitions(dir, topic string, partitions int) error {
	first, err := findDir(dir, topic+"-0")
	if err != nil {
		return err
	}
	for p := 1; p < partitions; p++ {
		if err := copyPartition(first, filepath.Join(filepath.Dir(first), fmt.Sprintf("%s-%d", topic, p))); err != nil {
			return err
		}
	}
	for _, name := range []string{"recovery-point-offset-checkpoint", "replication-offset-checkpoint"} {
		if err := copyOffset(filepath.Join(filepath.Dir(first), name), topic); err != nil {
			return err
		}
	}
	return nil
}

// findDir returns the directory of a name at any depth.
func findDir(root, name string) (string, error) {
	found := ""
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == name {
			found = path
			return filepath.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("%s is not in %s", name, root)
	}
	return found, err
}

func copyPartition(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyEnds(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyEnds copies a file; of a long one the middle becomes a hole.
func copyEnds(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = closing(in, err) }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = closing(out, err) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if err := out.Truncate(size); err != nil {
		return err
	}
	for _, at := range []int64{0, max(size-copiedBytes, min(size, copiedBytes))} {
		if _, err := io.Copy(io.NewOffsetWriter(out, at), io.NewSectionReader(in, at, copiedBytes)); err != nil {
			return err
		}
	}
	return nil
}

// copyOffset gives all partitions of a topic the first one's offset in a checkpoint.
func copyOffset(path, topic string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(content), "\n")
	first := ""
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, topic+" 0 "); ok {
			first = rest
		}
	}
	for i, line := range lines {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == topic {
			lines[i] = fmt.Sprintf("%s %s %s", topic, fields[1], first)
		}
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}
