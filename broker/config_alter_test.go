package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestOnlyChangedConfigsAreTold: setting what is set already is no event.
func TestOnlyChangedConfigsAreTold(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	admin := newAdmin(t, n)
	for i, value := range []string{"1000000", "1000000", "2000000"} {
		responses, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, "t")
		if err != nil || responses[0].Err != nil {
			t.Fatalf("retention.ms %s: %v, %v", value, responses, err)
		}
		if got, want := n.log.count("configs changed"), []int{1, 1, 2}[i]; got != want {
			t.Errorf("%d lines after change %d, want %d", got, i, want)
		}
	}
}
