package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
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
