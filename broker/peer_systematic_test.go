package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSystematicAnswersAreThoseOfApacheKafka sends every kind of input, good for nothing, in
// every version of every API to a real Apache Kafka and to this node.
func TestSystematicAnswersAreThoseOfApacheKafka(t *testing.T) {
	onlyRecords(t)
	compareWithKafka(t, systematicSteps(t))
}

// onlyRecords skips a long list of steps, which TestRecordedAnswersOfApacheKafka replays,
// unless its golden file is to be written anew.
func onlyRecords(t *testing.T) {
	t.Helper()
	if !*rewrite {
		t.Skip("replayed by TestRecordedAnswersOfApacheKafka; make exchange asks Kafka")
	}
}

func systematicSteps(t *testing.T) []comparedStep {
	l := coordinatorsAreLoaded()
	for _, a := range startNode(t, t.TempDir(), testConfig()).advertisedAPIs {
		for version := a.Min; version <= a.Max; version++ {
			if notInKafka()[apiVersion{a.Key, version}] {
				continue
			}
			for _, kind := range inputKinds() {
				if kafkaIsSilent(kmsg.Key(a.Key), version, kind.name) {
					continue
				}
				l = append(l, comparedStep{
					name: fmt.Sprintf("%s v%d %s", kmsg.NameForKey(a.Key), version, kind.name), version: version,
					req: kind.request(a.Key, version), mask: systematicMask(kmsg.Key(a.Key)),
				})
			}
		}
	}
	return l
}

// kafkaIsSilent says which requests Kafka never answers: its handler of AddPartitionsToTxn
// waits for as many answers as there are transactions and gets none, that of AlterConfigs
// loses a resource that is named twice.
func kafkaIsSilent(key kmsg.Key, version int16, kind string) bool {
	switch key {
	case kmsg.AddPartitionsToTxn:
		return version >= 4 && (kind == "empty" || kind == "null")
	case kmsg.AlterConfigs:
		return kind == "twice"
	}
	return false
}

// coordinatorsAreLoaded are steps after which both brokers have the coordinators of the
// names that the kinds of input have.
func coordinatorsAreLoaded() []comparedStep {
	var steps []comparedStep
	for kind := range int8(2) {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorType, find.CoordinatorKeys = kind, []string{"no-such"}
		steps = append(steps, comparedStep{name: fmt.Sprintf("find the coordinator of type %d", kind), version: 6, req: find, loads: true})
	}
	for _, kind := range inputKinds() {
		if kind.text == "" {
			continue
		}
		commit := &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: kind.text, MemberEpoch: -1}}}
		describe := &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{kind.text}}
		steps = append(
			steps,
			comparedStep{name: "load the group of " + kind.name, version: 9, req: commit, loads: true},
			comparedStep{name: "load the transaction of " + kind.name, version: 0, req: describe, loads: true},
		)
	}
	idempotent := &kmsg.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1, TransactionTimeoutMillis: 1000}
	return append(steps, comparedStep{name: "get producer ids", version: 4, req: idempotent, mask: []string{"ProducerID"}, loads: true})
}

// systematicMask names what is each broker's own in the answers of an API.
func systematicMask(key kmsg.Key) []string {
	return map[kmsg.Key][]string{
		kmsg.ApiVersions:       {"ApiKeys", "SupportedFeatures", "FinalizedFeatures", "FinalizedFeaturesEpoch"},
		kmsg.DescribeQuorum:    {"LeaderEpoch", "HighWatermark", "LogEndOffset", "LastFetchTimestamp", "LastCaughtUpTimestamp", "ReplicaDirectoryID", "Nodes"},
		kmsg.InitProducerID:    {"ProducerID"},
		kmsg.JoinGroup:         {"MemberID", "LeaderID"},
		kmsg.ListTransactions:  {"ProducerID"},
		kmsg.DescribeLogDirs:   {"LogDir"},
		kmsg.DescribeProducers: {"LastTimestamp"},
		kmsg.AddRaftVoter:      {"ErrorMessage"}, // it names the cluster
		kmsg.RemoveRaftVoter:   {"ErrorMessage"},
	}[key]
}
