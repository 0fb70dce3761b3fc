package groups

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/storage"
)

// openLogs opens the logs of __consumer_offsets in a real store.
func openLogs(t *testing.T, dir string, partitions int32) (*storage.Store, []*storage.Log) {
	t.Helper()
	store, err := storage.Open(storage.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	logs := make([]*storage.Log, partitions)
	for p := range partitions {
		if logs[p], err = store.CreateLog(storage.TopicPartition{Topic: Topic, Partition: p}, [16]byte{9}, storage.DefaultLogConfig(), 0); err != nil {
			t.Fatal(err)
		}
	}
	return store, logs
}

// withStore runs f with a coordinator over the store in dir, and closes both.
func withStore(t *testing.T, dir string, partitions int32, topics core.Topics, f func(a asker, logs []*storage.Log)) {
	t.Helper()
	store, logs := openLogs(t, dir, partitions)
	c := New(DefaultConfig(), Options{Topics: topics})
	c.SetPartitions(partitions)
	for p, l := range logs {
		c.Load(int32(p), l)
	}
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(asker{t, c}, logs)
	c.Close()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func TestOffsetsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	const groups, partitions = 40, 4
	withStore(t, dir, partitions, nil, func(a asker, _ []*storage.Log) {
		for g := range groups {
			for p := range int32(3) {
				if code := commitCodeOf(a.get(commitRequest(fmt.Sprintf("group-%d", g), p, int64(100*g)+int64(p)))); code != 0 {
					t.Fatalf("commit: code %d", code)
				}
			}
		}
	})
	withStore(t, dir, partitions, nil, func(a asker, _ []*storage.Log) {
		for g := range groups {
			want := fmt.Sprintf("group-%d:0 t/0=%d t/1=%d t/2=%d;", g, 100*g, 100*g+1, 100*g+2)
			if got := offsetsOf(a.get(fetchRequest(fmt.Sprintf("group-%d", g)))); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		list := a.get(kmsg.NewPtrListGroupsRequest()).(*kmsg.ListGroupsResponse)
		if len(list.Groups) != groups {
			t.Errorf("%d groups are listed", len(list.Groups))
		}
		del := kmsg.NewPtrDeleteGroupsRequest()
		del.Groups = []string{"group-0", "group-1", "nobody"}
		r := a.get(del).(*kmsg.DeleteGroupsResponse)
		if len(r.Groups) != 3 || r.Groups[0].ErrorCode != 0 || r.Groups[1].Group != "group-1" || r.Groups[2].ErrorCode == 0 {
			t.Errorf("delete: %+v", r)
		}
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{"group-2", "group-0"}
		d := a.get(describe).(*kmsg.DescribeGroupsResponse)
		if len(d.Groups) != 2 || d.Groups[0].State != "Empty" || d.Groups[1].State != "Dead" {
			t.Errorf("describe: %+v", d)
		}
	})
	withStore(t, dir, partitions, nil, func(a asker, _ []*storage.Log) {
		if got := offsetsOf(a.get(fetchRequest("group-0", "group-2"))); got != "group-0:0;group-2:0 t/0=200 t/1=201 t/2=202;" {
			t.Errorf("after deletion: %s", got)
		}
	})
}

// TestOffsetsOfDeletedTopics: deleted while running, and found deleted or made anew at start.
func TestOffsetsOfDeletedTopics(t *testing.T) {
	dir := t.TempDir()
	id := byte(1)
	topics := func(string) (core.Topic, bool) { return core.Topic{ID: [16]byte{id}, Partitions: 9}, id != 0 }
	withStore(t, dir, 1, topics, func(a asker, _ []*storage.Log) {
		a.get(commitRequest("g", 0, 5))
		a.c.DeleteTopics(func(name string, topic [16]byte) bool { return name == "t" && topic == [16]byte{2} })
		if got := offsetsOf(a.get(fetchRequest("g"))); got != "g:0 t/0=5;" {
			t.Errorf("another topic of the name was deleted: %s", got)
		}
		a.c.DeleteTopics(func(name string, topic [16]byte) bool { return name == "t" && topic == [16]byte{1} })
		if got := offsetsOf(a.get(fetchRequest("g"))); got != "g:0;" {
			t.Errorf("after deletion: %s", got)
		}
		a.get(commitRequest("g", 0, 6))
	})
	withStore(t, dir, 1, topics, func(a asker, _ []*storage.Log) {
		if got := offsetsOf(a.get(fetchRequest("g"))); got != "g:0 t/0=6;" {
			t.Errorf("the topic is as before: %s", got)
		}
	})
	for _, id = range []byte{2, 1} { // made anew; what was deleted stays so
		withStore(t, dir, 1, topics, func(a asker, _ []*storage.Log) {
			if got := offsetsOf(a.get(fetchRequest("g"))); got != "g:0;" {
				t.Errorf("topic id %d: %s", id, got)
			}
		})
	}
}

// TestManyRecordsTakeSeveralBatches: no batch exceeds what the topic allows.
func TestManyRecordsTakeSeveralBatches(t *testing.T) {
	dir := t.TempDir()
	const partitions = 30_000
	big := kmsg.NewPtrOffsetCommitRequest()
	big.Version, big.Group = 8, "g"
	big.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t"}}
	for p := range int32(partitions) {
		big.Topics[0].Partitions = append(big.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: p, Offset: int64(p), LeaderEpoch: -1})
	}
	withStore(t, dir, 1, nil, func(a asker, logs []*storage.Log) {
		if code := commitCodeOf(a.get(big)); code != 0 {
			t.Fatalf("commit: code %d", code)
		}
		if end := logs[0].LogEnd(); end != partitions {
			t.Errorf("log end is %d", end)
		}
	})
	withStore(t, dir, 1, nil, func(a asker, _ []*storage.Log) {
		r := a.get(fetchRequest("g")).(*kmsg.OffsetFetchResponse)
		if got := len(r.Groups[0].Topics[0].Partitions); got != partitions {
			t.Errorf("%d offsets are left", got)
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	store, err := storage.Open(storage.Config{Dir: b.TempDir(), Durability: storage.DurabilityOS})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	log, err := store.CreateLog(storage.TopicPartition{Topic: Topic}, [16]byte{9}, storage.DefaultLogConfig(), 0)
	if err != nil {
		b.Fatal(err)
	}
	c := New(DefaultConfig(), Options{})
	defer c.Close()
	c.SetPartitions(1)
	c.Load(0, log)
	if err := c.WaitLoaded(b.Context()); err != nil {
		b.Fatal(err)
	}
	const inFlight = 100
	answered := make(chan kmsg.Response, inFlight)
	for range inFlight {
		answered <- nil
	}
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		<-answered
		offset++
		c.Handle(ClientInfo{}, commitRequest("g", int32(offset%100), offset), func(r kmsg.Response) { answered <- r })
	}
}
