package broker

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/broker/wire"
)

// clientQuotas counts what clients use. The limits are those of the metadata.
type clientQuotas struct {
	node                                           *Node
	started                                        time.Time
	produce, fetch, requests, mutations, connected *quota.Tracker
	throttles                                      *prometheus.CounterVec
	throttledSeconds                               *prometheus.CounterVec
}

func newClientQuotas(n *Node) *clientQuotas {
	return &clientQuotas{
		node: n, started: time.Now(),
		produce: quota.NewTracker(quota.ProducerByteRate), fetch: quota.NewTracker(quota.ConsumerByteRate),
		requests: quota.NewTracker(quota.RequestPercentage), mutations: quota.NewTracker(quota.ControllerMutationRate),
		connected: quota.NewTracker(quota.ConnectionCreationRate),
		throttles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_quota_throttles_total", Help: "Times that a client was told to wait because it was beyond a quota, by quota.",
		}, []string{"quota"}),
		throttledSeconds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_quota_throttled_seconds_total", Help: "Time for which clients were told to wait because they were beyond a quota, by quota.",
		}, []string{"quota"}),
	}
}

// throttled counts that a client has to wait for so long.
func (q *clientQuotas) throttled(t *quota.Tracker, wait time.Duration) time.Duration {
	if wait > 0 {
		q.throttles.WithLabelValues(string(t.Key())).Inc()
		q.throttledSeconds.WithLabelValues(string(t.Key())).Add(wait.Seconds())
	}
	return wait
}

func (q *clientQuotas) registerMetrics(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	for _, t := range []*quota.Tracker{q.produce, q.fetch, q.requests, q.mutations, q.connected} {
		err := reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "millrace_broker_quota_accounts", Help: "Clients whose use is measured because a quota applies to them, by quota.",
			ConstLabels: prometheus.Labels{"quota": string(t.Key())},
		}, func() float64 { return float64(t.Len()) }))
		if err != nil {
			return err
		}
	}
	if err := reg.Register(q.throttles); err != nil {
		return err
	}
	return reg.Register(q.throttledSeconds)
}

func (q *clientQuotas) limits() *quota.Limits { return q.node.meta.Image().Quotas() }

func (q *clientQuotas) now() time.Duration { return time.Since(q.started) }

// userOf is the name by which Kafka's quotas know a principal.
func userOf(principal string) string {
	_, name, _ := strings.Cut(principal, ":")
	return name
}

// produced counts the bytes of a produce request.
func (q *clientQuotas) produced(r *wire.Request) {
	if l := q.limits(); l.Has(quota.ProducerByteRate) {
		r.Throttle(q.throttled(q.produce, q.produce.Record(l, userOf(r.Principal()), r.ClientID, float64(r.Size()), q.now())))
	}
}

// fetched counts the bytes of a fetch response. It reports false, and counts
// nothing, if the client has to wait for them.
func (q *clientQuotas) fetched(r *wire.Request, bytes int64) bool {
	l := q.limits()
	if !l.Has(quota.ConsumerByteRate) {
		return true
	}
	wait := q.fetch.TryRecord(l, userOf(r.Principal()), r.ClientID, float64(bytes), q.now())
	r.Throttle(q.throttled(q.fetch, wait))
	return wait == 0
}

// fetchBytesMax is the most that one response may hold without being throttled for
// itself alone: more could never be fetched.
func (q *clientQuotas) fetchBytesMax(r *wire.Request, bytes int64) int64 {
	if l := q.limits(); l.Has(quota.ConsumerByteRate) {
		if limit, ok := q.fetch.Max(l, userOf(r.Principal()), r.ClientID); ok && limit < float64(bytes) {
			return int64(limit)
		}
	}
	return bytes
}

// TimesRequests implements [wire.Quota].
func (q *clientQuotas) TimesRequests() bool { return q.limits().Has(quota.RequestPercentage) }

// RequestTime implements [wire.Quota]. A throttle lasts one window at most (KIP-124).
func (q *clientQuotas) RequestTime(r *wire.Request, spent time.Duration) time.Duration {
	percent := 100 * spent.Seconds()
	return q.throttled(q.requests, min(q.requests.Record(q.limits(), userOf(r.Principal()), r.ClientID, percent, q.now()), quota.Window))
}

// ConnectionDelay implements [wire.Quota].
func (q *clientQuotas) ConnectionDelay(host string) time.Duration {
	l := q.limits()
	if !l.Has(quota.ConnectionCreationRate) {
		return 0
	}
	return q.throttled(q.connected, q.connected.RecordIP(l, host, q.now()))
}

// mutate pays for partitions that are made or removed (KIP-599). Versions of an API
// since strictSince are refused what they cannot pay, older ones are throttled.
func (q *clientQuotas) mutate(r *wire.Request, partitions int, strictSince int16) error {
	l := q.limits()
	if !l.Has(quota.ControllerMutationRate) {
		return nil
	}
	wait, refused := q.mutations.Take(l, userOf(r.Principal()), r.ClientID, float64(partitions), r.Version >= strictSince, q.now())
	r.Throttle(q.throttled(q.mutations, wait))
	if refused {
		return refuse(kerr.ThrottlingQuotaExceeded, "The throttling quota has been exceeded.")
	}
	return nil
}
