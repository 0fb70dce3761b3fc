package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// consoleMetrics are the console's own.
type consoleMetrics struct {
	requests *prometheus.CounterVec
	tails    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *consoleMetrics {
	m := &consoleMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_console_requests_total", Help: "Requests to the console, by what was asked for and how it was answered.",
		}, []string{"what", "code"}),
		tails: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_console_tails", Help: "Live tails that are open."}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.tails)
	}
	return m
}

// count wraps a handler. The label what takes one of a few values only.
func (m *consoleMetrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		what := "page"
		for _, prefix := range []string{"/api/logs/", "/api/", "/metrics", "/healthz", "/readyz", "/debug/"} {
			if strings.HasPrefix(r.URL.Path, prefix) {
				what = strings.Trim(prefix, "/")
				break
			}
		}
		m.requests.WithLabelValues(what, strconv.Itoa(rec.status)).Inc()
	})
}

// statusWriter remembers the status. Unwrap lets http.ResponseController
// reach the writer below.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
