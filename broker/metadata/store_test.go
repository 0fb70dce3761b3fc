package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

const testDir = "/data/metadata"

// logName is the log of a new group, before its first snapshot.
const logName = "raft-00000000000000000001.log"

func size(t *testing.T, fsys vfs.FS, name string) int64 {
	t.Helper()
	info, err := fsys.Stat(filepath.Join(testDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func open(t *testing.T, fsys vfs.FS) *Store {
	t.Helper()
	s, err := Open(Config{Dir: testDir, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func commit(t *testing.T, s *Store, records ...Record) *Image {
	t.Helper()
	image, err := s.Update(func(*Image) ([]Record, error) { return records, nil })
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// text is an image in a form that can be compared.
func text(t *testing.T, i *Image) string {
	t.Helper()
	b, err := json.Marshal(i.snapshot())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", i.Index, b)
}

func topic(n int) *TopicRecord {
	return &TopicRecord{
		ID: TopicID{1, byte(n >> 8), byte(n)}, Name: fmt.Sprintf("topic-%d", n),
		Partitions: []Partition{{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}},
		Configs:    map[string]string{"retention.ms": "1000"},
	}
}

func TestImageHoldsWhatItsRecordsSay(t *testing.T) {
	s := open(t, vfs.NewMem(nil))
	commit(t, s, &ClusterRecord{ClusterID: "c"}, &BrokerRecord{NodeID: 1, Host: "h", Port: 9092})
	before := commit(t, s, topic(1), topic(2))
	commit(t, s, &PartitionsRecord{TopicID: topic(1).ID, Added: []Partition{{Leader: 1}}})
	commit(t, s, &ConfigRecord{Kind: ResourceTopic, Name: "topic-1", Key: "segment.ms", Value: new("5")})
	commit(t, s, &ConfigRecord{Kind: ResourceTopic, Name: "topic-1", Key: "retention.ms"})
	commit(t, s, &ConfigRecord{Kind: ResourceBroker, Name: "", Key: "log.retention.ms", Value: new("7")})
	commit(t, s, &ProducerIDsRecord{Next: 1000})
	commit(t, s, &TopicRemovedRecord{TopicID: topic(2).ID})
	after := commit(t, s, &BrokerRecord{NodeID: 1, Host: "h", Port: 9093})

	got := after.Topic("topic-1")
	if got == nil || after.TopicByID(got.ID) != got || len(got.Partitions) != 2 || after.PartitionCount() != 2 {
		t.Fatalf("topic-1 is %+v", got)
	}
	if got.Configs["segment.ms"] != "5" || got.Configs["retention.ms"] != "" || after.Configs(ResourceBroker, "")["log.retention.ms"] != "7" {
		t.Errorf("configs are %v", got.Configs)
	}
	if got.Partitions[0].LeaderEpoch != 1 {
		t.Errorf("leader epoch is %d after the broker's second start", got.Partitions[0].LeaderEpoch)
	}
	if after.Topic("topic-2") != nil || len(after.TopicNames()) != 1 || after.NextProducerID != 1000 {
		t.Errorf("image is %s", text(t, after))
	}
	if len(before.TopicNames()) != 2 || len(before.Topic("topic-1").Partitions) != 1 || before.Topic("topic-1").Partitions[0].LeaderEpoch != 0 ||
		before.Topic("topic-1").Configs["retention.ms"] != "1000" {
		t.Errorf("an older image has changed: %s", text(t, before))
	}
	if after.Broker(1).Epoch != after.Index {
		t.Errorf("broker epoch is %d, index %d", after.Broker(1).Epoch, after.Index)
	}
}

func TestRecordsThatDoNotFitAreRefusedAndLeaveNothing(t *testing.T) {
	fsys := vfs.NewMem(nil)
	s := open(t, fsys)
	want := text(t, commit(t, s, &ClusterRecord{ClusterID: "c"}, topic(1), &ProducerIDsRecord{Next: 10}))
	for _, r := range []Record{
		&ClusterRecord{ClusterID: "d"}, topic(1), &TopicRecord{Name: "no-id"}, &PartitionsRecord{}, &TopicRemovedRecord{},
		&ConfigRecord{Kind: ResourceTopic, Name: "none", Key: "k", Value: new("v")}, &ProducerIDsRecord{Next: 9}, &snapshotRecord{},
	} {
		if _, err := s.Update(func(*Image) ([]Record, error) { return []Record{topic(3), r}, nil }); !errors.Is(err, errRecord) {
			t.Errorf("%s record: %v", r.recordType(), err)
		}
	}
	if got := text(t, s.Image()); got != want {
		t.Errorf("image is %s, want %s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := text(t, open(t, fsys).Image()); got != want {
		t.Errorf("image after a restart is %s, want %s", got, want)
	}
}

// script makes commits of all kinds, with snapshots in between, and calls acked
// with the image after each.
func script(s *Store, commits int, acked func(*Image)) error {
	for n := range commits {
		image, err := s.Update(func(i *Image) ([]Record, error) {
			switch {
			case n == 0:
				return []Record{&ClusterRecord{ClusterID: "c"}, &BrokerRecord{NodeID: 1, Host: "h"}}, nil
			case n%7 == 6:
				return []Record{&TopicRemovedRecord{TopicID: i.Topic(i.TopicNames()[0]).ID}}, nil
			}
			return []Record{topic(n), &ProducerIDsRecord{Next: int64(n)}}, nil
		})
		if err != nil {
			return err
		}
		acked(image)
		if n%5 == 4 {
			if err := s.group.Compact(); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestNothingAcknowledgedIsLostByACrashAtAnyPoint stops the power at every
// change of the file system, in all ways that unsynced data may be lost.
func TestNothingAcknowledgedIsLostByACrashAtAnyPoint(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	crashes := 0
	for stopAt := 1; ; stopAt++ {
		mem := vfs.NewMem(nil)
		changes, acked, next := 0, text(t, newImage()), ""
		var crashed []*vfs.Mem
		var wantEither [][2]string
		fsys := vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
			if !op.Changes() {
				return
			}
			if changes++; changes == stopAt {
				for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
					crashed = append(crashed, mem.Crash(mode, random))
					wantEither = append(wantEither, [2]string{acked, ""})
				}
			}
		}})
		s, err := Open(Config{Dir: testDir, FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		err = script(s, 24, func(i *Image) {
			if acked = text(t, i); next == "" && len(crashed) > 0 {
				next = acked // what was being committed at the crash
			}
		})
		if err = errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		if len(crashed) == 0 {
			break
		}
		for i, c := range crashed {
			crashes++
			got := text(t, open(t, c).Image())
			if got != wantEither[i][0] && got != next {
				t.Fatalf("crash %d in mode %d: image is\n%s\nacknowledged was\n%s\nbeing committed\n%s", stopAt, i, got, wantEither[i][0], next)
			}
		}
	}
	if crashes < 100 {
		t.Fatalf("only %d crashes", crashes)
	}
}

// TestAFailedWriteIsNeverFollowedByAnother fails each write, sync and rename in turn.
func TestAFailedWriteIsNeverFollowedByAnother(t *testing.T) {
	failure := errors.New("input/output error")
	for failAt := 1; ; failAt++ {
		mem := vfs.NewMem(nil)
		changes := 0
		fsys := vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
			if op.Changes() {
				if changes++; changes == failAt {
					return failure
				}
			}
			return nil
		}})
		acked := text(t, newImage())
		s, err := Open(Config{Dir: testDir, FS: fsys})
		if err == nil {
			err = script(s, 12, func(i *Image) { acked = text(t, i) })
			if err == nil {
				if changes < failAt {
					return
				}
				err = s.Close()
			}
		}
		if !errors.Is(err, failure) {
			t.Fatalf("failure %d: %v", failAt, err)
		}
		if s != nil && s.Close() != nil {
			t.Logf("failure %d: close failed too", failAt)
		}
		if got := open(t, mem).Image(); text(t, got) != acked && got.Index == 0 {
			t.Fatalf("failure %d: image is %s, acknowledged was %s", failAt, text(t, got), acked)
		}
	}
}

func TestAfterAFailedSyncNothingMoreIsTaken(t *testing.T) {
	fail := false
	s, err := Open(Config{Dir: testDir, FS: vfs.Observe(vfs.NewMem(nil), vfs.Hooks{Before: func(op vfs.Op) error {
		if fail && op.Kind == "sync" {
			return errors.New("input/output error")
		}
		return nil
	}})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := text(t, commit(t, s, &ClusterRecord{ClusterID: "c"}))
	fail = true
	for range 2 {
		if _, err := s.Update(func(*Image) ([]Record, error) { return []Record{topic(1)}, nil }); !errors.Is(err, ErrFailed) {
			t.Fatalf("update after a failed sync: %v", err)
		}
		fail = false
	}
	if got := text(t, s.Image()); got != want {
		t.Errorf("image is %s, want %s", got, want)
	}
}

func TestDamageBeforeIntactCommitsRefusesTheStart(t *testing.T) {
	mem := vfs.NewMem(nil)
	s := open(t, mem)
	commit(t, s, &ClusterRecord{ClusterID: "c"})
	commit(t, s, topic(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(testDir, logName)
	f, err := mem.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'X'}, 20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Dir: testDir, FS: mem})
	if c, ok := errors.AsType[*CorruptionError](err); !ok || c.File != name || c.Position != 0 {
		t.Fatalf("opened with %v", err)
	}
}

func TestATornTailIsCutAndSaidSo(t *testing.T) {
	mem := vfs.NewMem(nil)
	s := open(t, mem)
	want := text(t, commit(t, s, &ClusterRecord{ClusterID: "c"}))
	end := size(t, mem, logName)
	commit(t, s, topic(1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenReadWrite(filepath.Join(testDir, logName))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(end + 30); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var log bytes.Buffer
	s, err = Open(Config{Dir: testDir, FS: mem, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, s.Image()); got != want {
		t.Errorf("image is %s, want %s", got, want)
	}
	if !bytes.Contains(log.Bytes(), []byte("torn end of the raft log cut")) {
		t.Errorf("log is %q", log.String())
	}
	again := text(t, commit(t, s, topic(2)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := text(t, open(t, mem).Image()); got != again {
		t.Errorf("image is %s, want %s", got, again)
	}
}

func TestALongLogBecomesASnapshot(t *testing.T) {
	mem := vfs.NewMem(nil)
	const space = 64 << 10
	s, err := Open(Config{Dir: testDir, FS: mem, snapshotBytes: space})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, &ClusterRecord{ClusterID: "c"})
	large := string(bytes.Repeat([]byte("x"), space/3))
	for n := range 10 {
		commit(t, s, &ConfigRecord{Kind: ResourceBroker, Key: "k", Value: new(fmt.Sprint(n, large))})
	}
	want := text(t, s.Image())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := mem.ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("%d files", len(entries))
	}
	for _, e := range entries {
		if n := size(t, mem, e.Name()); n > 2*space {
			t.Errorf("%s has %d bytes", e.Name(), n)
		}
	}
	if got := text(t, open(t, mem).Image()); got != want {
		t.Error("the image differs after a restart")
	}
}

func FuzzFormat1(f *testing.F) {
	first, err := encodeRecords([]Record{&ClusterRecord{ClusterID: "c"}, topic(1)})
	if err != nil {
		f.Fatal(err)
	}
	second, err := encodeRecords([]Record{&TopicRemovedRecord{TopicID: topic(1).ID}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(encodeFrame(1, first), encodeFrame(2, second)...))
	f.Add([]byte(`[{"type":"topic","record":null}]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range [][]byte{content, encodeFrame(1, content)} {
			mem := vfs.NewMem(nil)
			if err := mem.MkdirAll(testDir); err != nil {
				t.Fatal(err)
			}
			w, err := mem.Create(filepath.Join(testDir, format1Name(0, logSuffix)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.WriteAt(file, 0); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if s, err := Open(Config{Dir: testDir, FS: mem}); err == nil { // neither panics nor hangs
				s.Close()
			}
		}
	})
}
