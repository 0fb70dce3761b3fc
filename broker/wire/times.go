package wire

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// apiTimes are the histograms of one API.
type apiTimes struct {
	total, local, wait, queue, response prometheus.Observer
}

func newAPITimes(m *Metrics, api string) *apiTimes {
	return &apiTimes{
		total: m.seconds.WithLabelValues(api),
		local: m.phases.WithLabelValues(api, "local"), wait: m.phases.WithLabelValues(api, "wait"),
		queue: m.phases.WithLabelValues(api, "queue"), response: m.phases.WithLabelValues(api, "response"),
	}
}

// observe takes note of a request whose response began at turn and is done. The time of
// its handler is taken by the reader.
func (t *apiTimes) observe(r *Request, turn, done time.Time) {
	wait := r.waited
	started := r.Conn.server.started
	// 0 while the handler still runs, which has answered already: nothing was waited for.
	if served := r.served.Load(); served > 0 {
		wait += max(r.answeredAt.Sub(started)-time.Duration(served), 0)
	}
	t.wait.Observe(wait.Seconds())
	t.queue.Observe(max(turn.Sub(r.answeredAt), 0).Seconds())
	t.response.Observe(max(done.Sub(turn)-r.waited, 0).Seconds())
	t.total.Observe(done.Sub(r.Received).Seconds())
}

// Waited says for how long the response of [Request.ReplyRender] has waited for an event,
// for its metrics. It is called by what renders.
func (r *Request) Waited(d time.Duration) { r.waited += d }
