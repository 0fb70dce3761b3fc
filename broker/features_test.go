package broker

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions"
)

func askFeatures(t *testing.T, n *testNode, version int16) map[string][3]int16 {
	t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "a", "1"
	c := dial(t, n)
	c.send(frameOf(version, 1, req))
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = version
	if err := resp.ReadFrom(c.receive()[4:]); err != nil {
		t.Fatal(err)
	}
	got := map[string][3]int16{}
	for _, f := range resp.SupportedFeatures {
		got[f.Name] = [3]int16{f.MinVersion, f.MaxVersion}
	}
	for _, f := range resp.FinalizedFeatures {
		row := got[f.Name]
		row[2] = f.MaxVersionLevel
		got[f.Name] = row
	}
	return got
}

// TestFeaturesAreAgreedOnAndKept: a feature's level is shown to clients and
// outlives the process.
func TestFeaturesAreAgreedOnAndKept(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	want := map[string][3]int16{"group.version": {0, 1, 1}, "metadata.version": {7, 27, 27}, "transaction.version": {0, 2, 2}}
	for name, row := range want {
		if got := askFeatures(t, n, 4)[name]; got != row {
			t.Errorf("%s is %v, want %v", name, got, row)
		}
	}
	if got := askFeatures(t, n, 3)["group.version"]; got != [3]int16{0, 0, 1} {
		t.Errorf("version 3 shows a feature that begins at level 0 as supported: %v", got)
	}
	req := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = featureTransaction, 1, featureSafeDowngrade
	req.FeatureUpdates, req.ValidateOnly = []kmsg.UpdateFeaturesRequestFeatureUpdate{u}, true
	step := comparedStep{version: 2, req: req}
	dial(t, n).exchange(step)
	if got := askFeatures(t, n, 4)[featureTransaction]; got[2] != 2 {
		t.Errorf("validation alone changed the level to %d", got[2])
	}
	req.ValidateOnly = false
	dial(t, n).exchange(step)
	n.stop()
	n = startNode(t, dir, testConfig())
	if got := askFeatures(t, n, 4)[featureTransaction]; got[2] != 1 {
		t.Errorf("after a restart the level is %d, want 1", got[2])
	}
}

// TestALowerTransactionVersionReachesTheCoordinator: its records change their schema
// with the level, and a transaction that is open meanwhile is committed.
func TestALowerTransactionVersionReachesTheCoordinator(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := txnClient(t, n, kgo.TransactionalID("x"), kgo.DefaultProduceTopic("t"))
	transact := func(between func()) {
		t.Helper()
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		between()
		if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	lower := func(level int16) {
		t.Helper()
		req := kmsg.NewPtrUpdateFeaturesRequest()
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = featureTransaction, level, featureSafeDowngrade
		req.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{u}
		if resp := request[*kmsg.UpdateFeaturesResponse](t, newClient(t, n), 2, req); resp.ErrorCode != 0 {
			t.Fatalf("level %d: code %d %v", level, resp.ErrorCode, *resp.ErrorMessage)
		}
	}
	transact(func() {})
	if got := lastTransactionSchema(t, n, "x"); got != 1 {
		t.Errorf("at level 2 records have version %d", got)
	}
	transact(func() { lower(0) })
	if got := lastTransactionSchema(t, n, "x"); got != 0 {
		t.Errorf("at level 0 records have version %d", got)
	}
	transact(func() {})
	if got := readCommitted(t, n, "t", 1); len(got) != 3 {
		t.Errorf("%d records are committed, want 3", len(got))
	}
}

// lastTransactionSchema returns the version of the last record of a transactional id.
func lastTransactionSchema(t *testing.T, n *testNode, id string) uint16 {
	t.Helper()
	log, _ := n.topics.byName(transactions.Topic).log(transactions.PartitionFor(id, testConfig().TransactionsPartitions))
	var version uint16
	for at := log.LogStart(); at < log.LogEnd(); {
		res, err := log.Read(at, 1<<20, storage.ReadOptions{MinOneBatch: true})
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range batch.All(res.Data) {
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				version = binary.BigEndian.Uint16(r.Value)
			}
		}
		at = res.NextOffset
		res.Release()
	}
	return version
}
