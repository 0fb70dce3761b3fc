package groups

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/coordinator/coordinatortest"
	"github.com/millrace/millrace/broker/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPartitionForIsJavas(t *testing.T) {
	for group, hash := range map[string]int32{
		"": 0, "a": 97, "hello": 99162322, "\U0001F600": 1772899,
		"polygenelubricants": 0, // hashCode is the smallest integer, whose absolute value Kafka takes for 0
	} {
		for _, n := range []int32{1, 16, 50} {
			if got := PartitionFor(group, n); got != hash%n {
				t.Errorf("group %q of %d partitions is in %d, want %d", group, n, got, hash%n)
			}
		}
	}
}

// asker asks a coordinator and keeps the answers.
type asker struct {
	t *testing.T
	c *Coordinator
}

// ask returns a channel with the answer.
func (a asker) ask(req kmsg.Request) <-chan kmsg.Response {
	answer := make(chan kmsg.Response, 2)
	if !a.c.Handle(ClientInfo{ID: "test", Host: "/127.0.0.1"}, req, func(r kmsg.Response) { answer <- r }) {
		a.t.Fatalf("API %d is not handled", req.Key())
	}
	return answer
}

func (a asker) get(req kmsg.Request) kmsg.Response {
	a.t.Helper()
	select {
	case r := <-a.ask(req):
		return r
	case <-time.After(60 * time.Second):
		a.t.Fatalf("no answer to API %d", req.Key())
		return nil
	}
}

func commitRequest(group string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Version, r.Group = 8, group
	r.Topics = []kmsg.OffsetCommitRequestTopic{{
		Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: partition, Offset: offset, LeaderEpoch: -1}},
	}}
	return r
}

func commitCodeOf(r kmsg.Response) int16 {
	return r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func fetchRequest(groups ...string) *kmsg.OffsetFetchRequest {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Version = 9
	for _, g := range groups {
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = g
		r.Groups = append(r.Groups, one)
	}
	return r
}

// offsetsOf prints what a fetch of all offsets says.
func offsetsOf(r kmsg.Response) string {
	var b strings.Builder
	for _, g := range r.(*kmsg.OffsetFetchResponse).Groups {
		fmt.Fprintf(&b, "%s:%d", g.Group, g.ErrorCode)
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&b, " %s/%d=%d", t.Topic, p.Partition, p.Offset)
			}
		}
		b.WriteString(";")
	}
	return b.String()
}

func joinRequest(group string, version int16) *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Version, r.Group, r.ProtocolType = version, group, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 6000, 6000
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{1}}}
	return r
}

// oneShard returns a coordinator with one loaded partition.
func oneShard(t *testing.T, log Log, o Options) asker {
	t.Helper()
	c := New(DefaultConfig(), o)
	t.Cleanup(c.Close)
	c.SetPartitions(1)
	c.Load(0, log)
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return asker{t, c}
}

func TestAnswersWaitForTheFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &coordinatortest.Log{}
		a := oneShard(t, log, Options{})
		log.Set(func(l *coordinatortest.Log) { l.Hold = true })
		first := a.ask(commitRequest("g", 0, 1))
		synctest.Wait()
		fetch := a.ask(fetchRequest("g"))
		synctest.Wait()
		if len(first) != 0 || len(fetch) != 0 {
			t.Fatal("answered before the flush")
		}
		log.Release(nil)
		synctest.Wait()
		if code := commitCodeOf(<-first); code != 0 {
			t.Errorf("commit: code %d", code)
		}
		if got := offsetsOf(<-fetch); got != "g:0 t/0=1;" {
			t.Errorf("fetch: %s", got)
		}
	})
}

func TestCommitsAreAppendedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &coordinatortest.Log{}
		a := oneShard(t, log, Options{})
		// While the shard is kept busy by one answer, others queue up.
		var busy sync.WaitGroup
		busy.Add(1)
		a.c.Handle(ClientInfo{}, commitRequest("g", 0, 0), func(kmsg.Response) { busy.Wait() })
		var answers []<-chan kmsg.Response
		for p := range int32(500) {
			answers = append(answers, a.ask(commitRequest("g", p, int64(p))))
		}
		busy.Done()
		synctest.Wait()
		for p, answer := range answers {
			if code := commitCodeOf(<-answer); code != 0 {
				t.Fatalf("partition %d: code %d", p, code)
			}
		}
		if n := log.Appends(); n > 4 {
			t.Errorf("501 commits took %d appends", n)
		}
	})
}

func TestLoadingAndOtherPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &coordinatortest.Log{}
		before := oneShard(t, log, Options{})
		if code := commitCodeOf(before.get(commitRequest("g", 0, 7))); code != 0 {
			t.Fatalf("commit: code %d", code)
		}
		before.c.Close()
		if code := commitCodeOf(before.get(commitRequest("g", 0, 8))); code != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("closed: code %d", code)
		}

		c := New(DefaultConfig(), Options{})
		defer c.Close()
		a := asker{t, c}
		if code := commitCodeOf(a.get(commitRequest("g", 0, 8))); code != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("without a topic: code %d", code)
		}
		if r := a.get(kmsg.NewPtrListGroupsRequest()).(*kmsg.ListGroupsResponse); r.ErrorCode != 0 || len(r.Groups) != 0 {
			t.Errorf("list without a topic: %+v", r)
		}
		c.SetPartitions(2)
		log.Set(func(l *coordinatortest.Log) { l.Flushed = 0 }) // loading waits for the flush of the log end
		c.Load(PartitionFor("g", 2), log)
		synctest.Wait()
		if code := commitCodeOf(a.get(commitRequest("g", 0, 8))); code != kerr.CoordinatorLoadInProgress.Code {
			t.Errorf("loading: code %d", code)
		}
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group = "g"
		if r := a.get(beat).(*kmsg.HeartbeatResponse); r.ErrorCode != 0 {
			t.Errorf("heartbeat while loading: code %d", r.ErrorCode)
		}
		if r := a.get(kmsg.NewPtrListGroupsRequest()).(*kmsg.ListGroupsResponse); r.ErrorCode != kerr.CoordinatorLoadInProgress.Code {
			t.Errorf("list while loading: code %d", r.ErrorCode)
		}
		other := "h" // 104: the partition that is not g's (103)
		if code := commitCodeOf(a.get(commitRequest(other, 0, 8))); code != kerr.NotCoordinator.Code {
			t.Errorf("another partition: code %d", code)
		}
		log.Release(nil)
		synctest.Wait()
		if got := offsetsOf(a.get(fetchRequest("g", other))); got != fmt.Sprintf("g:0 t/0=7;h:%d;", kerr.NotCoordinator.Code) {
			t.Errorf("loaded: %s", got)
		}
	})
}

func TestRefusedAppendLeavesReadsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &coordinatortest.Log{}
		var history bytes.Buffer
		a := oneShard(t, log, Options{Logger: slog.New(slog.NewTextHandler(&history, nil))})
		a.get(commitRequest("g", 0, 1))
		for err, want := range map[error]int16{
			storage.ErrNoSpace:  kerr.CoordinatorNotAvailable.Code,
			storage.ErrTooLarge: kerr.InvalidCommitOffsetSize.Code,
			storage.ErrOffline:  kerr.NotCoordinator.Code,
		} {
			log.Set(func(l *coordinatortest.Log) { l.AppendErr = fmt.Errorf("test: %w", err) })
			if code := commitCodeOf(a.get(commitRequest("g", 0, 2))); code != want {
				t.Errorf("%v: code %d, want %d", err, code, want)
			}
			if got := offsetsOf(a.get(fetchRequest("g"))); got != "g:0 t/0=1;" {
				t.Errorf("%v: %s", err, got)
			}
		}
		log.Set(func(l *coordinatortest.Log) { l.AppendErr = nil })
		if code := commitCodeOf(a.get(commitRequest("g", 0, 3))); code != 0 {
			t.Errorf("with room again: code %d", code)
		}
		if !strings.Contains(history.String(), "could not append") {
			t.Errorf("nothing was logged: %s", history.String())
		}
	})
}

func TestFailedFlushLoadsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &coordinatortest.Log{}
		a := oneShard(t, log, Options{})
		a.get(commitRequest("g", 0, 1))
		parked := a.ask(joinRequest("g", 3))
		log.Set(func(l *coordinatortest.Log) { l.Hold = true })
		lost := a.ask(commitRequest("h", 0, 2))
		synctest.Wait()
		log.Set(func(l *coordinatortest.Log) { // the records never reached the disk
			l.Batches, l.Ends = l.Batches[:1], l.Ends[:1]
			l.Hold = false
		})
		log.Release(errors.New("fdatasync: input/output error"))
		synctest.Wait()
		if code := commitCodeOf(<-lost); code != kerr.NotCoordinator.Code {
			t.Errorf("lost commit: code %d", code)
		}
		if r := (<-parked).(*kmsg.JoinGroupResponse); r.ErrorCode != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("parked join: code %d", r.ErrorCode)
		}
		if code := commitCodeOf(a.get(commitRequest("g", 0, 5))); code != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("while failed: code %d", code)
		}
		time.Sleep(coordinator.ReloadBackoff + time.Millisecond) //nolint:forbidigo // time of a synctest bubble
		synctest.Wait()
		if got := offsetsOf(a.get(fetchRequest("g", "h"))); got != "g:0 t/0=1;h:0;" {
			t.Errorf("loaded anew: %s", got)
		}
	})
}

func TestTimersOfSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		a := oneShard(t, &coordinatortest.Log{}, Options{Registerer: registry})
		begun := time.Now()
		joined := (<-a.ask(joinRequest("g", 3))).(*kmsg.JoinGroupResponse)
		if took := time.Since(begun); joined.ErrorCode != 0 || took != 3*time.Second {
			t.Fatalf("joined after %s with code %d", took, joined.ErrorCode)
		}
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.Generation, sync.MemberID = "g", joined.Generation, joined.MemberID
		if r := a.get(sync).(*kmsg.SyncGroupResponse); r.ErrorCode != 0 {
			t.Fatalf("sync: code %d", r.ErrorCode)
		}
		state := func() string {
			d := kmsg.NewPtrDescribeGroupsRequest()
			d.Groups = []string{"g"}
			return a.get(d).(*kmsg.DescribeGroupsResponse).Groups[0].State
		}
		time.Sleep(5999 * time.Millisecond) //nolint:forbidigo // time of a synctest bubble
		if got := state(); got != "Stable" {
			t.Errorf("before the session ends: %s", got)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // time of a synctest bubble
		if got := state(); got != "Empty" {
			t.Errorf("after the session ended: %s", got)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 6 {
			t.Errorf("%d metrics, %v", len(families), err)
		}
	})
}

func TestCloseAnswersWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := oneShard(t, &coordinatortest.Log{}, Options{})
		parked := a.ask(joinRequest("g", 3))
		synctest.Wait()
		a.c.Unload(0)
		if r := (<-parked).(*kmsg.JoinGroupResponse); r.ErrorCode != kerr.NotCoordinator.Code {
			t.Errorf("code %d", r.ErrorCode)
		}
		if code := commitCodeOf(a.get(commitRequest("g", 0, 1))); code != kerr.NotCoordinator.Code {
			t.Errorf("after unload: code %d", code)
		}
	})
}

func TestHandleLeavesOtherAPIsAlone(t *testing.T) {
	c := New(DefaultConfig(), Options{})
	if c.Handle(ClientInfo{}, kmsg.NewPtrMetadataRequest(), func(kmsg.Response) { t.Error("answered") }) {
		t.Error("Metadata was handled")
	}
}
