package broker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMoreAnswersAreThoseOfApacheKafka is TestAnswersAreThoseOfApacheKafka for
// transactions, members of classic groups, quotas, users and what else is asked rarely.
func TestMoreAnswersAreThoseOfApacheKafka(t *testing.T) {
	compareWithKafka(t, slices.Concat(transactionSteps(), rareSteps()))
}

// stepList gathers steps.
type stepList []comparedStep

func (l *stepList) add(name string, version int16, req kmsg.Request, mask ...string) {
	*l = append(*l, comparedStep{name: fmt.Sprintf("%s v%d", name, version), version: version, req: req, mask: mask, loads: true})
}

func transactionSteps() []comparedStep {
	var l stepList
	create := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "t", 2, 1
	create.Topics, create.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{rt}, 10_000
	l.add("create", 7, create, "Configs")
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = 1, []string{"tx"}
	l.add("find the coordinator", 6, find)
	for _, version := range []int16{0, 1, 3, 4} {
		for kind := range int8(2) {
			find := kmsg.NewPtrFindCoordinatorRequest()
			find.CoordinatorType, find.CoordinatorKey, find.CoordinatorKeys = kind, "g", []string{"g", "h"}
			l.add(fmt.Sprintf("find the coordinator of type %d", kind), version, find)
		}
	}

	initialize := func(id *string, timeoutMs int32, producerID int64, epoch int16) *kmsg.InitProducerIDRequest {
		return &kmsg.InitProducerIDRequest{TransactionalID: id, TransactionTimeoutMillis: timeoutMs, ProducerID: producerID, ProducerEpoch: epoch}
	}
	for _, version := range []int16{0, 3, 5} {
		l.add("init without a transactional id", version, initialize(nil, 60_000, -1, -1), "ProducerID")
		l.add("init with an empty id", version, initialize(new(""), 60_000, -1, -1))
		l.add("init without a timeout", version, initialize(new("tx"), 0, -1, -1))
		l.add("init with a timeout that is too long", version, initialize(new("tx"), 3_600_000, -1, -1))
		l.add("init", version, initialize(new("tx"), 60_000, -1, -1), "ProducerID")
	}
	l.add("init with a producer id alone", 5, initialize(new("tx"), 60_000, 5, -1))
	l.add("init with an epoch alone", 5, initialize(new("tx"), 60_000, -1, 5))
	l.add("init as another producer", 5, initialize(new("tx"), 60_000, 999_999, 0), "ProducerID")

	partitions := func(version int16, name, id string, topic string) {
		req := &kmsg.AddPartitionsToTxnRequest{TransactionalID: id, ProducerID: 999_999, ProducerEpoch: 0}
		req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{0, 9}}}
		l.add(name, version, req)
	}
	for _, version := range []int16{0, 3} {
		partitions(version, "add partitions of an unknown id", "nobody", "t")
		partitions(version, "add partitions of another producer", "tx", "t")
		partitions(version, "add partitions of an unknown topic", "tx", "none")
	}
	for _, version := range []int16{0, 4} {
		l.add("add offsets of an unknown id", version, &kmsg.AddOffsetsToTxnRequest{TransactionalID: "nobody", ProducerID: 1, Group: "g"})
		l.add("add offsets of another producer", version, &kmsg.AddOffsetsToTxnRequest{TransactionalID: "tx", ProducerID: 999_999, Group: "g"})
	}
	for _, version := range []int16{0, 4, 5} {
		l.add("end of an unknown id", version, &kmsg.EndTxnRequest{TransactionalID: "nobody", ProducerID: 1, Commit: true})
		l.add("end of another producer", version, &kmsg.EndTxnRequest{TransactionalID: "tx", ProducerID: 999_999, Commit: true})
		l.add("end with an empty id", version, &kmsg.EndTxnRequest{TransactionalID: "", ProducerID: 1})
	}
	commit := func(group, member string, generation int32) *kmsg.TxnOffsetCommitRequest {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.MemberID, req.Generation = "tx", group, 999_999, member, generation
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = 1
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
		return req
	}
	l.add("commit offsets as an unknown member", 4, commit("g", "nobody", 5))
	l.add("commit offsets without a group", 4, commit("", "", -1))
	marker := &kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{
		ProducerID: 999_999, Committed: true,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "none", Partitions: []int32{0}}},
	}}}
	l.add("marker for an unknown topic", 1, marker)
	l.add("describe an unknown transaction", 0, &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{"nobody", ""}})
	l.add("describe a transaction", 0, &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{"tx"}}, "ProducerID", "StartTimestamp")
	for _, version := range []int16{0, 1, 2} {
		list := kmsg.NewPtrListTransactionsRequest()
		l.add("list transactions", version, list, "ProducerID")
		unknown := kmsg.NewPtrListTransactionsRequest()
		unknown.StateFilters = []string{"Sleeping"}
		l.add("list transactions of an unknown state", version, unknown)
	}
	return l
}

func rareSteps() []comparedStep {
	var l stepList
	join := func(group, member string, protocols int) *kmsg.JoinGroupRequest {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, member, "consumer", 10_000, 10_000
		for i := range protocols {
			req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: fmt.Sprint("p", i), Metadata: []byte{0}})
		}
		return req
	}
	for _, version := range []int16{2, 5, 9} {
		l.add("join as an unknown member", version, join("g", "nobody", 1))
		l.add("join without a group", version, join("", "", 1))
		l.add("join without a protocol", version, join("g", "", 0))
		short := join("g", "", 1)
		short.SessionTimeoutMillis = 1
		l.add("join with a session that is too short", version, short)
	}
	for _, version := range []int16{1, 2, 4} {
		l.add("describe log dirs of unknown topics", version, &kmsg.DescribeLogDirsRequest{Topics: []kmsg.DescribeLogDirsRequestTopic{{Topic: "none", Partitions: []int32{0}}}}, "LogDir")
	}
	alter := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	r.Configs = []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: new("5000")}}
	alter.Resources = []kmsg.AlterConfigsRequestResource{r}
	l.add("alter configs", 2, alter)
	bad := *alter
	r.Configs = []kmsg.AlterConfigsRequestResourceConfig{{Name: "no.such", Value: new("1")}}
	bad.Resources = []kmsg.AlterConfigsRequestResource{r}
	l.add("alter unknown configs", 2, &bad)

	for _, version := range []int16{0, 1} {
		l.add("describe all quotas", version, &kmsg.DescribeClientQuotasRequest{})
		l.add("describe quotas of an unknown entity", version, &kmsg.DescribeClientQuotasRequest{Components: []kmsg.DescribeClientQuotasRequestComponent{{EntityType: "planet", MatchType: 2}}})
		entry := kmsg.NewAlterClientQuotasRequestEntry()
		entry.Entity = []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new("u")}}
		entry.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: "no_such_rate", Value: 1}}
		l.add("alter an unknown quota", version, &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{entry}})
		entry.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1e9}}
		l.add("alter a quota", version, &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{entry}})
	}
	l.add("describe unknown users", 0, &kmsg.DescribeUserSCRAMCredentialsRequest{Users: []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: "nobody"}}})
	l.add("delete the credentials of an unknown user", 0, &kmsg.AlterUserSCRAMCredentialsRequest{Deletions: []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}}})
	return l
}
