package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/test/process"
)

// TestDemoIndexesThreeServicesAndRaisesAlerts is the first command of the
// README, on free ports.
func TestDemoIndexesThreeServicesAndRaisesAlerts(t *testing.T) {
	p := process.New(t, binary, "", "up", "--demo")
	p.Start()
	search := "http://" + p.Search
	for _, index := range []string{"millrace-web-*", "millrace-app-*", "millrace-service-*", "millrace-alerts-*"} {
		p.Eventually(90*time.Second, "documents in "+index, func() error {
			n, err := count(t, search, index)
			if err == nil && n == 0 {
				err = errors.New("none")
			}
			return err
		})
	}
	sums, err := p.Metrics()
	if err != nil || sums["millrace_alerts_raised_total"] == 0 {
		t.Errorf("alerts raised: %v, %v", sums["millrace_alerts_raised_total"], err)
	}
	if took, err := p.Terminate(); err != nil || took > 20*time.Second {
		t.Error(fmt.Errorf("the orderly end took %s: %w\n%s", took, err, p.Logs()))
	}
}
