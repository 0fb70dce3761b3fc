package bench

import (
	"slices"
	"testing"
)

func TestFiguresOfOtherPrograms(t *testing.T) {
	const endToEnd = "0\t12.3\n1000\t0.4\nAvg latency: 1.2345 ms\n\nPercentiles: 50th = 1, 99th = 5, 99.9th = 17\n"
	got, err := endToEndFigures(endToEnd)
	if err != nil || !slices.Equal(got, []float64{1.2345, 1, 5, 17}) {
		t.Errorf("EndToEndLatency: %v, %v", got, err)
	}
	const rdkafka = "% 3000000 messages produced (300000000 bytes), 0 delivered (offset 0, 0 failed) in 1000ms: 10 msgs/s and 1.00 MB/s, 0 produce failures, 0 in queue, no compression\n" +
		"% 3000000 messages produced (300000000 bytes), 3000000 delivered (offset 0, 0 failed) in 1934ms: 1550710 msgs/s and 155.07 MB/s, 0 produce failures, 0 in queue, no compression\n"
	if got, err := rdkafkaFigure(rdkafka); err != nil || got != 1550710 {
		t.Errorf("rdkafka_performance: %v, %v", got, err)
	}
	for _, out := range []string{"", "Avg latency: 1.2 ms", "msgs/s"} {
		if _, err := endToEndFigures(out); err == nil {
			t.Errorf("EndToEndLatency: %q is taken for figures", out)
		}
		if _, err := rdkafkaFigure(out); err == nil {
			t.Errorf("rdkafka_performance: %q is taken for a figure", out)
		}
	}
}
