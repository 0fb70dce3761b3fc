package wire

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what a server does. The zero value is not usable.
type Metrics struct {
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	phases      *prometheus.HistogramVec
	pending     *prometheus.GaugeVec
	errors      *prometheus.CounterVec
	bytesIn     prometheus.Counter
	bytesOut    prometheus.Counter
	connections *prometheus.GaugeVec
	refused     prometheus.Counter
	closed      *prometheus.CounterVec

	authFailures *prometheus.CounterVec
	throttled    prometheus.Counter
	held         prometheus.Counter
}

// NewMetrics makes the metrics and registers them unless reg is nil.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_requests_total", Help: "Requests answered, by API.",
		}, []string{"api"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_broker_request_seconds", Help: "Time from a complete request to its written response, by API.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"api"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "millrace_broker_request_phase_seconds",
			Help:    "What requests spend their time on, by API: local (the handler), wait (for the disk, for records to come, for other members), queue (for earlier responses of the connection), response (reading and encoding).",
			Buckets: prometheus.ExponentialBuckets(0.0001, 8, 7),
		}, []string{"api", "phase"}),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_broker_pending_requests", Help: "Requests that are read and not answered yet, by API: long polls, members that wait for a rebalance, appends that wait for the disk.",
		}, []string{"api"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_request_errors_total", Help: "Error codes in responses, by API and by name of the code in Kafka's protocol.",
		}, []string{"api", "error"}),
		bytesIn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_received_bytes_total", Help: "Bytes of request frames received.",
		}),
		bytesOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_sent_bytes_total", Help: "Bytes of response frames sent.",
		}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_broker_connections", Help: "Open client connections, by listener.",
		}, []string{"listener"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_connections_refused_total", Help: "Connections closed at once because a limit of connections was reached.",
		}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_connections_closed_total", Help: "Connections closed by the node, by reason.",
		}, []string{"reason"}),
		authFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_authentications_failed_total", Help: "Failed authentications, by listener and mechanism (TLS is the handshake).",
		}, []string{"listener", "mechanism"}),
		held: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_connections_throttled_total", Help: "Connections that were not let in because their address opened too many within a short time.",
		}),
		throttled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_throttled_seconds_total", Help: "Time for which clients were told to be silent because of quotas.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.phases, m.pending, m.errors, m.bytesIn, m.bytesOut, m.connections, m.refused, m.closed, m.authFailures, m.throttled, m.held} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
