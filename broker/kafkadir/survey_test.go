package kafkadir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// dir is a log directory in memory that a test fills.
type dir struct {
	t  *testing.T
	fs *vfs.Mem
}

func newDir(t *testing.T, records ...VersionedRecord) *dir {
	t.Helper()
	d := &dir{t, vfs.NewMem(nil)}
	d.check(vfs.MkdirAllDurable(d.fs, "/k"))
	d.check((&Properties{ClusterID: "c", NodeID: 1, DirectoryID: UUID{7}}).Write(d.fs, "/k"))
	d.check(WriteMetadata(d.fs, "/k", records, time.UnixMilli(5)))
	return d
}

func (d *dir) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *dir) write(name string, parts ...[]byte) {
	d.t.Helper()
	d.check(vfs.MkdirAllDurable(d.fs, filepath.Dir("/k/"+name)))
	d.check(vfs.WriteFile(d.fs, "/k/"+name, slices.Concat(parts...)))
}

func (d *dir) survey() *Survey {
	d.t.Helper()
	s, err := OpenSource(d.fs, "/k")
	d.check(err)
	v, err := s.Survey(nil)
	d.check(errors.Join(err, s.Close()))
	return v
}

// topic are the records of a topic with one partition on node 1.
func topic(name string, id byte, change func(*PartitionRecord)) []VersionedRecord {
	p := &PartitionRecord{TopicID: UUID{id}, Replicas: []int32{1}, ISR: []int32{1}, Leader: 1}
	if change != nil {
		change(p)
	}
	return []VersionedRecord{{Record: &TopicRecord{Name: name, TopicID: UUID{id}}}, {Record: p, Version: 2}}
}

func records(t *testing.T, offset int64, count int) []byte {
	t.Helper()
	var list []batch.Record
	for i := range count {
		list = append(list, batch.Record{Value: fmt.Append(nil, i)})
	}
	b, err := batch.Build(batch.Options{BaseOffset: offset}, list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func finding(list []Finding, what string) string {
	for _, f := range list {
		if strings.HasSuffix(f.What, what) {
			return f.Why
		}
	}
	return "(nothing)"
}

func names(r *Replica) string {
	var out []string
	for _, f := range r.Files {
		out = append(out, fmt.Sprintf("%s=%s:%d", strings.TrimLeft(f.Name, "0"), strings.TrimLeft(f.As, "0"), f.Bytes))
	}
	return strings.Join(out, " ")
}

const zeros = "0000000000000000000"

func TestLeftoversOfKafka(t *testing.T) {
	d := newDir(t, topic("a", 1, nil)...)
	b := records(t, 0, 4)
	d.write("a-0/"+zeros+"0.log", records(t, 0, 1))
	d.write("a-0/"+zeros+"2.log", records(t, 2, 1))
	d.write("a-0/"+zeros+"2.index", []byte("12345678"))
	d.write("a-0/"+zeros+"0.log.swap", b) // takes the place of both
	d.write("a-0/"+zeros+"5.log", records(t, 5, 1))
	d.write("a-0/"+zeros+"6.log.swap", records(t, 6, 1)) // of a split that was not finished
	d.write("a-0/"+zeros+"6.log.cleaned", records(t, 6, 1))
	d.write("a-0/"+zeros+"0.timeindex.deleted", nil)
	d.write("a-0/"+zeros+"9.timeindex", nil) // its log is gone
	d.write("a-1.abc-delete/x", nil)
	d.write("a-2.abc-stray/x", nil)
	d.write("a-0.abc-future/x", nil)
	d.write("b-0/"+zeros+"0.log", nil)
	d.write("a-7/"+zeros+"0.log", nil)
	d.write("lost+found/x", nil)
	v := d.survey()
	if len(v.Replicas) != 1 || len(v.Gaps) != 0 {
		t.Fatalf("%+v", v)
	}
	want := fmt.Sprintf("log.swap=.log:%d 5.log=5.log:%d", len(b), len(records(t, 5, 1)))
	if got := names(v.Replicas[0]); strings.TrimPrefix(got, ".") != want || v.Replicas[0].LogEnd != 6 {
		t.Errorf("files %s, end %d, want %s", got, v.Replicas[0].LogEnd, want)
	}
	for what, why := range map[string]string{
		"a-1.abc-delete": "deleted partition", "a-2.abc-stray": "put aside", "a-0.abc-future": "unfinished move",
		"b-0": "no such topic", "a-7": "moved to other nodes", "lost+found": "not a partition",
	} {
		if got := finding(v.Left, what); !strings.Contains(got, why) {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestGapsAreNamed(t *testing.T) {
	all := slices.Concat(
		topic("other", 1, func(p *PartitionRecord) { p.Replicas, p.ISR = []int32{2}, []int32{2} }),
		topic("late", 2, func(p *PartitionRecord) { p.Replicas, p.ISR, p.Leader = []int32{1, 2}, []int32{2}, 2 }),
		topic("last", 3, func(p *PartitionRecord) { p.ISR, p.EligibleLeaders, p.Leader = nil, []int32{1}, -1 }),
		topic("nowhere", 4, nil), topic("old", 5, nil), topic("broken", 6, nil), topic("renewed", 8, nil),
	)
	d := newDir(t, all...)
	for _, name := range []string{"late", "last", "broken", "renewed"} {
		d.write(name+"-0/"+zeros+"0.log", records(t, 0, 2))
	}
	damaged := records(t, 0, 2)
	damaged[len(damaged)-1]++
	d.write("broken-0/"+zeros+"0.log", records(t, 0, 2), damaged, records(t, 4, 2))
	old := records(t, 0, 2)
	old[16] = 1
	d.write("old-0/"+zeros+"0.log", old)
	d.write("renewed-0/partition.metadata", []byte("version: 0\ntopic_id: "+UUID{99}.String()))
	v := d.survey()
	for what, why := range map[string]string{
		"other-0": "on nodes [2], not on this one", "late-0": "not in sync", "last-0": "(nothing)", "nowhere-0": "is not in /k",
		"old-0": "format 0 or 1", "broken-0": "Kafka, too, would drop", "renewed-0": "is not in /k",
	} {
		if got := finding(v.Gaps, what); !strings.Contains(got, why) {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := finding(v.Left, "renewed-0"); !strings.Contains(got, "an older topic of that name") {
		t.Errorf("renewed: %s", got)
	}
}

// TestRecordsThatAreGone: a log that was closed in order ends at its recovery point; one that ends
// before has lost records since, which is a gap. What there is is taken.
func TestRecordsThatAreGone(t *testing.T) {
	var all []VersionedRecord
	points := map[string]int64{}
	ends := map[string]int64{"emptied": -1, "last": 2, "cut": 2, "whole": 4, "indexed": 4, "lie": 4, "beyond": 4, "rolled": 4}
	for i, name := range slices.Sorted(maps.Keys(ends)) {
		all = append(all, topic(name, byte(i+1), nil)...)
		points[name+"-0"] = 4
	}
	d := newDir(t, all...)
	d.write(cleanShutdownName, nil)
	d.write(recoveryPointsName, formatOffsets(points))
	first, second := records(t, 0, 2), records(t, 2, 2)
	entry := func(at int) []byte { return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 2}, uint32(at)) }
	d.write("emptied-0/leader-epoch-checkpoint", []byte("0\n0\n"))
	d.write("last-0/"+zeros+"0.log", first) // the segment of offset 2 is gone
	d.write("cut-0/"+zeros+"0.log", first, second[:len(second)-1])
	d.write("cut-0/"+zeros+"0.index", entry(len(first)))
	d.write("whole-0/"+zeros+"0.log", first, second)
	d.write("indexed-0/"+zeros+"0.log", first, second)
	d.write("indexed-0/"+zeros+"0.index", entry(len(first)))
	d.write("lie-0/"+zeros+"0.log", first, second)
	d.write("lie-0/"+zeros+"0.index", entry(len(first)+7))
	d.write("beyond-0/"+zeros+"0.log", first, second)
	d.write("beyond-0/"+zeros+"0.index", entry(1<<31))
	d.write("rolled-0/"+zeros+"0.log", first, second)
	d.write("rolled-0/"+zeros+"4.log", nil)
	v := d.survey()
	taken := map[string]int64{}
	for _, r := range v.Replicas {
		taken[r.Topic] = r.LogEnd
		if r.Topic == "cut" && (len(r.Files) != 1 || r.Files[0].Bytes != int64(len(first))) {
			t.Errorf("of the log that was cut these are taken: %s", names(r))
		}
	}
	for name, end := range ends {
		got, ok := taken[name]
		if ok != (end >= 0) || ok && got != end {
			t.Errorf("%s is taken up to %d, %v; want %d", name, got, ok, end)
		}
		if gap := finding(v.Gaps, name+"-0"); strings.Contains(gap, "below 4 to disk") != (end < 4) {
			t.Errorf("%s: %s", name, gap)
		}
	}
}

func TestATornMetadataLog(t *testing.T) {
	value, err := EncodeRecord(&TopicRecord{Name: "x", TopicID: UUID{3}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(offset int64) []byte {
		b, err := batch.Build(batch.Options{BaseOffset: offset, LeaderEpoch: 2}, []batch.Record{{Value: value}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	noop, err := EncodeRecord(&NoOpRecord{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	after, err := batch.Build(batch.Options{BaseOffset: 4, LeaderEpoch: 2}, []batch.Record{{Value: noop}})
	if err != nil {
		t.Fatal(err)
	}
	d := newDir(t, topic("a", 1, nil)...) // a snapshot up to offset 2
	log := metadataDirName + "/" + zeros + "2.log"
	d.write(log, entry(2), []byte("torn"))
	m, err := ReadMetadata(d.fs, "/k/"+metadataDirName)
	if err != nil || m.TopicNamed("x") == nil || m.Offset != 3 || m.Epoch != 2 || m.Cut == "" {
		t.Errorf("%+v, %v", m, err)
	}
	d.write(log, entry(2), []byte("damage"), after)
	if _, err := ReadMetadata(d.fs, "/k/"+metadataDirName); !errors.As(err, new(*CorruptionError)) || !strings.Contains(err.Error(), "intact records follow") {
		t.Errorf("damage in the middle: %v", err)
	}
	d.write(log, entry(3))
	if _, err := ReadMetadata(d.fs, "/k/"+metadataDirName); err == nil || !strings.Contains(err.Error(), "records are missing") {
		t.Errorf("a gap: %v", err)
	}
}

// FuzzSource opens hostile directories: nothing may panic, and what is
// surveyed can be brought over.
func FuzzSource(f *testing.F) {
	f.Add([]byte("version=1\nnode.id=1\ncluster.id=c"), []byte("0\n1\na 0 3\n"), []byte{1, 2, 0}, []byte("0\n1\n3 0\n"))
	f.Fuzz(func(t *testing.T, properties, offsets, segment, epochs []byte) {
		d := newDir(t, topic("a", 1, nil)...)
		d.write("meta.properties", properties)
		d.write(recoveryPointsName, offsets)
		d.write(logStartsName, offsets)
		d.write("a-0/"+zeros+"0.log", segment)
		d.write("a-0/"+zeros+"0.txnindex", segment)
		d.write("a-0/"+zeros+"3.log.swap", segment)
		d.write("a-0/leader-epoch-checkpoint", epochs)
		d.write("a-0/partition.metadata", properties)
		d.write(metadataDirName+"/"+zeros+"9.log", segment)
		s, err := OpenSource(d.fs, "/k")
		if err != nil {
			return
		}
		if v, err := s.Survey(nil); err == nil {
			transfer := Transfer{FS: d.fs, Mode: Copy, LogDir: "/to"}
			if err := transfer.Run(t.Context(), v.Replicas); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSegmentsWithoutRecordsGetIndexes: Kafka takes a segment without index files
// for damaged, also an empty one. Of one with records it makes them again.
func TestSegmentsWithoutRecordsGetIndexes(t *testing.T) {
	const empty, full, whole = "00000000000000000000", "00000000000000000005", "00000000000000000009"
	for _, mode := range []Mode{Copy, Link, Move} {
		d := newDir(t)
		d.write("t-0/"+empty+".log", nil)
		d.write("t-0/"+full+".log", []byte("records"))
		d.write("t-0/"+whole+".log", nil)
		d.write("t-0/"+whole+".index", []byte("entries!"))
		r := &Replica{Topic: "t", Path: "/k/t-0", Files: []File{
			{Name: empty + ".log", As: empty + ".log"},
			{Name: full + ".log", As: full + ".log", Bytes: 7},
			{Name: whole + ".log", As: whole + ".log"},
			{Name: whole + ".index", As: whole + ".index", Bytes: 8},
		}}
		to := &Transfer{FS: d.fs, Mode: mode, LogDir: "/to"}
		d.check(to.Run(t.Context(), []*Replica{r}))
		sizes := map[string]int64{}
		entries, err := d.fs.Crash(vfs.CrashDrop, nil).ReadDir("/to/t-0")
		d.check(err)
		for _, e := range entries {
			info, err := e.Info()
			d.check(err)
			sizes[e.Name()] = info.Size()
		}
		want := map[string]int64{
			empty + ".log": 0, empty + ".index": 0, empty + ".timeindex": 0, full + ".log": 7,
			whole + ".log": 0, whole + ".index": 8, whole + ".timeindex": 0,
		}
		if !maps.Equal(sizes, want) {
			t.Errorf("%s: files %v, want %v", mode, sizes, want)
		}
	}
}
