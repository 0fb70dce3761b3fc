package broker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/test/peers"
)

// sessionClient plays a script of fetches against one broker and writes down the answers.
type sessionClient struct {
	t        *testing.T
	admin    *kadm.Client
	client   *kgo.Client
	conn     *rawConn
	version  int16
	ids      [2][16]byte
	session  int32
	answered []string
}

// fetch sends a request and writes down what came, with 1 for any session id.
func (s *sessionClient) fetch(name string, id, epoch int32, change func(*kmsg.FetchRequest), partitions ...int32) {
	s.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionID, req.SessionEpoch = 300, 1, 1<<20, id, epoch
	for _, p := range partitions {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.PartitionMaxBytes, part.LogStartOffset, part.CurrentLeaderEpoch = p, 1<<20, -1, -1
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID, topic.Partitions = "t", s.ids[0], []kmsg.FetchRequestTopicPartition{part}
		req.Topics = append(req.Topics, topic)
	}
	if change != nil {
		change(req)
	}
	req.SetVersion(s.version)
	s.conn.send(frameOf(s.version, 1, req))
	body := s.conn.receive()[4:]
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(s.version)
	if resp.IsFlexible() {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		s.t.Fatal(err)
	}
	if resp.SessionID != 0 {
		s.session, resp.SessionID = resp.SessionID, 1
	}
	for i := range resp.Topics {
		resp.Topics[i].TopicID = [16]byte{}
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.RecordBatches = fmt.Append(nil, len(p.RecordBatches) > 0)
			p.AbortedTransactions = nil // Kafka has an empty array with some errors
		}
		// Kafka puts partitions that it does not know last.
		slices.SortStableFunc(resp.Topics[i].Partitions, func(a, b kmsg.FetchResponseTopicPartition) int {
			unknown := func(p kmsg.FetchResponseTopicPartition) int {
				return int(p.ErrorCode) / int(kerr.UnknownTopicOrPartition.Code)
			}
			return cmp.Compare(unknown(a), unknown(b))
		})
	}
	text, err := json.Marshal(resp)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answered = append(s.answered, name+": "+string(text))
}

func (s *sessionClient) produce(partition int32) {
	s.t.Helper()
	if err := s.client.ProduceSync(s.t.Context(), &kgo.Record{Topic: "t", Partition: partition, Value: []byte("v")}).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// at makes a partition of a request begin at an offset.
func at(offset int64) func(*kmsg.FetchRequest) {
	return func(r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].FetchOffset = offset }
}

func (s *sessionClient) script() {
	s.produce(0)
	s.fetch("sessionless", 0, -1, nil, 0, 1, 2)
	s.fetch("first", 0, 0, nil, 0, 1, 2)
	s.fetch("again: data", s.session, 1, nil)
	s.fetch("no news", s.session, 2, at(1), 0)
	s.produce(1)
	s.fetch("data of one", s.session, 3, nil)
	s.produce(0)
	s.fetch("data of two, in order", s.session, 4, nil)
	s.fetch("and turned round", s.session, 5, nil)
	s.fetch("wrong epoch", s.session, 5, nil)
	s.fetch("unknown partition and one out of range", s.session, 6, at(77), 2, 9)
	s.fetch("errors again", s.session, 7, nil)
	s.fetch("forgets", s.session, 8, func(r *kmsg.FetchRequest) {
		r.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", TopicID: s.ids[0], Partitions: []int32{2, 9, 50}}}
	})
	s.fetch("the epoch after the errors", s.session, 9, nil)
	version := s.version
	s.version = map[int16]int16{12: 16, 16: 12}[version]
	s.fetch("the other way to name topics", s.session, 10, nil)
	s.version = version
	s.fetch("still there", s.session, 10, nil)
	s.fetch("forgets all", s.session, 11, func(r *kmsg.FetchRequest) {
		r.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "t", TopicID: s.ids[0], Partitions: []int32{0, 1}}}
	})
	s.fetch("is over", s.session, 12, nil)
	s.fetch("another first", 0, 0, nil, 0)
	s.fetch("replaced by a new one", s.session, 0, nil, 1)
	s.fetch("ended", s.session, -1, nil, 1)
	s.fetch("is ended", s.session, 1, nil)
	s.fetch("first of nothing", 0, 0, nil)
	s.fetch("an unknown topic", 0, 0, func(r *kmsg.FetchRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = "none", [16]byte{1, 2, 3}
	}, 0)
}

// TestFetchSessionsAreThoseOfApacheKafka plays the same script against both.
func TestFetchSessionsAreThoseOfApacheKafka(t *testing.T) {
	kafka := peers.Kafka(t)
	ours := startNode(t, t.TempDir(), testConfig())
	for _, version := range []int16{12, 16} {
		var answers [2][]string
		for i, bootstrap := range []string{kafka.Bootstrap, ours.Addr()} {
			c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			s := &sessionClient{t: t, client: c, admin: kadm.NewClient(c), conn: dialRaw(t, bootstrap), version: version}
			if version == 16 {
				if _, err := s.admin.DeleteTopic(t.Context(), "t"); err != nil {
					t.Fatal(err)
				}
			}
			made, err := s.admin.CreateTopic(t.Context(), 3, 1, nil, "t")
			if err != nil || made.Err != nil {
				t.Fatal(err, made.Err)
			}
			s.ids[0] = made.ID
			s.script()
			answers[i] = s.answered
			c.Close()
		}
		for i, want := range answers[0] {
			if got := answers[1][i]; got != want {
				t.Errorf("v%d\nKafka %s\nours  %s", version, want, got)
			}
		}
	}
}
