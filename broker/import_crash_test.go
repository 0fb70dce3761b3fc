package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/internal/vfs"
)

var errCrash = errors.New("crash")

// kafkaSource makes a log directory of Apache Kafka in memory: two topics, one
// with two segments and a torn end, and what a deleted topic leaves.
func kafkaSource(t *testing.T) *vfs.Mem {
	t.Helper()
	fsys := vfs.NewMem(nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, content []byte) {
		t.Helper()
		must(vfs.WriteFile(fsys, "/kafka/"+name, content))
	}
	must(vfs.MkdirAllDurable(fsys, "/kafka"))
	must((&kafkadir.Properties{ClusterID: "bWlsbHJhY2UtcGVlci0wMQ", NodeID: 1, DirectoryID: kafkadir.UUID{9}}).Write(fsys, "/kafka"))
	var records []kafkadir.VersionedRecord
	for i, name := range []string{"one", "two"} {
		id := kafkadir.UUID{byte(i + 1)}
		records = append(records, kafkadir.VersionedRecord{Record: &kafkadir.TopicRecord{Name: name, TopicID: id}}, kafkadir.VersionedRecord{Version: 1, Record: &kafkadir.PartitionRecord{
			TopicID: id, Replicas: []int32{1}, ISR: []int32{1}, Leader: 1, LeaderEpoch: 3, Directories: []kafkadir.UUID{{9}},
		}})
		must(vfs.MkdirAllDurable(fsys, "/kafka/"+name+"-0"))
		write(name+"-0/partition.metadata", []byte("version: 0\ntopic_id: "+id.String()))
		write(name+"-0/leader-epoch-checkpoint", []byte("0\n1\n3 0\n"))
	}
	records = append(records, kafkadir.VersionedRecord{Record: &kafkadir.ProducerIDsRecord{NextProducerID: 2000}})
	must(kafkadir.WriteMetadata(fsys, "/kafka", records, time.UnixMilli(1)))
	write("one-0/00000000000000000000.log", batchAt(t, 0, 10))
	write("one-0/00000000000000000010.log", append(batchAt(t, 10, 5), "torn"...))
	write("two-0/00000000000000000000.log", batchAt(t, 0, 3))
	write("two-0/00000000000000000000.log.deleted", []byte("gone"))
	must(vfs.MkdirAllDurable(fsys, "/kafka/gone-0.0123-delete"))
	return fsys
}

func batchAt(t *testing.T, offset int64, count int) []byte {
	t.Helper()
	var records []batch.Record
	for i := range count {
		records = append(records, batch.Record{Timestamp: 1000, Value: fmt.Append(nil, offset+int64(i))})
	}
	b, err := batch.Build(batch.Options{BaseOffset: offset, LeaderEpoch: 3}, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func importIn(fsys vfs.FS, mode kafkadir.Mode) error {
	_, err := ImportKafka(context.Background(), ImportOptions{From: []string{"/kafka"}, Dir: "/data/broker", Config: testConfig(), Mode: mode, FS: fsys})
	return err
}

// checkImported opens what an import has made as the broker does.
func checkImported(t *testing.T, fsys vfs.FS) {
	t.Helper()
	if err := checkFinished(fsys, "/data/broker"); err != nil {
		t.Fatal(err)
	}
	p, err := readProperties(fsys, "/data/broker")
	if err != nil || p.clusterID != "bWlsbHJhY2UtcGVlci0wMQ" || p.format != formatVersion {
		t.Fatalf("properties %+v, %v", p, err)
	}
	meta, err := openMetadata(metadata.Config{FS: fsys}, "/data/broker", p)
	if err != nil {
		t.Fatal(err)
	}
	image := meta.Image()
	if got := image.TopicNames(); fmt.Sprint(got) != "[one two]" || image.Topic("two").ID != (metadata.TopicID{2}) || image.NextProducerID != 2000 {
		t.Fatalf("topics %v, producer ids %d", got, image.NextProducerID)
	}
	store, err := storage.Open(storage.Config{Dir: "/data/broker/logs", FS: fsys, RetentionCheckInterval: -1, CheckpointInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]int64{"one": 15, "two": 3} {
		l, ok := store.Log(storage.TopicPartition{Topic: name})
		if !ok || l.Err() != nil || l.LogEnd() != end {
			t.Fatalf("log of %s: %v, %+v", name, ok, l)
		}
	}
	if err := errors.Join(meta.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestAnImportSurvivesACrashAtAnyPoint ends the import at every change of the
// file system, lets go of what was not synced, and runs it again.
func TestAnImportSurvivesACrashAtAnyPoint(t *testing.T) {
	crashes := map[string]vfs.CrashMode{"process": vfs.CrashProcess, "drop": vfs.CrashDrop, "prefix": vfs.CrashPrefix, "holes": vfs.CrashHoles}
	for _, mode := range []kafkadir.Mode{kafkadir.Copy, kafkadir.Link, kafkadir.Move} {
		for name, crash := range crashes {
			if mode == kafkadir.Move && (crash == vfs.CrashPrefix || crash == vfs.CrashHoles) {
				continue // Mem takes a rename between two directories for two changes, a file system for one
			}
			t.Run(string(mode)+"/"+name, func(t *testing.T) {
				for point := 1; ; point++ {
					if !crashImport(t, mode, crash, point) {
						if point < 30 {
							t.Fatalf("only %d changes were seen", point)
						}
						return
					}
				}
			})
		}
	}
}

// crashImport returns false when the import ends before its point-th change.
func crashImport(t *testing.T, mode kafkadir.Mode, crash vfs.CrashMode, point int) bool {
	t.Helper()
	fsys, changes := kafkaSource(t), 0
	err := importIn(vfs.Observe(fsys, vfs.Hooks{Before: func(op vfs.Op) error {
		if op.Changes() {
			changes++
		}
		if changes >= point {
			return errCrash
		}
		return nil
	}}), mode)
	after := fsys.Crash(crash, rand.New(rand.NewPCG(uint64(point), 1)))
	if err == nil {
		checkImported(t, after)
		return false
	}
	if !errors.Is(err, errCrash) {
		t.Fatalf("crash at change %d: %v", point, err)
	}
	// A broker does not start on what is there, or nothing is there yet.
	if checkFinished(after, "/data/broker") == nil {
		if _, err := after.Stat("/data/broker/logs"); err == nil {
			if p, err := readProperties(after, "/data/broker"); err != nil || p.format == 0 {
				t.Fatalf("crash at change %d: a half-made directory would be served", point)
			}
			checkImported(t, after)
			return true
		}
	}
	if err := importIn(after, mode); err != nil {
		t.Fatalf("crash at change %d, again: %v", point, err)
	}
	checkImported(t, after)
	return true
}
