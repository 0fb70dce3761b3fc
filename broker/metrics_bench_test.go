package broker

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// BenchmarkScrapeOf10000Partitions is one answer to /metrics.
func BenchmarkScrapeOf10000Partitions(b *testing.B) {
	n, reg := startMeasured(b)
	manyPartitions(b, n, 100, 100)
	handler := promhttp.HandlerFor(reg, promhttp.HandlerOpts{DisableCompression: true})
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		b.SetBytes(int64(w.Body.Len()))
	}
}
