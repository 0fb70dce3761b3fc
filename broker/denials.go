package broker

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// denials counts and logs what clients were not allowed to do.
type denials struct {
	log       *slog.Logger
	throttled *wire.ThrottledLog
	total     *prometheus.CounterVec
}

func newDenials(log *slog.Logger, reg prometheus.Registerer) (*denials, error) {
	d := &denials{
		log: log, throttled: wire.NewThrottledLog(log),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_broker_denied_total", Help: "Operations that access control lists did not allow, by kind of resource and operation.",
		}, []string{"resource", "operation"}),
	}
	if reg == nil {
		return d, nil
	}
	return d, reg.Register(d.total)
}

// denied tells an operator who was refused what: at most one line for each
// principal and host within 10 s.
func (d *denials) denied(r *wire.Request, op acl.Operation, resource acl.Resource) {
	d.total.WithLabelValues(resource.Type.String(), op.String()).Inc()
	omitted, ok := d.throttled.Admit(r.Principal() + " " + r.ClientHost())
	if !ok {
		return
	}
	d.log.Info("access denied", "principal", r.Principal(), "host", r.ClientHost(), "operation", op.String(),
		"resource", resource.Type.String(), "name", resource.Name, "api", int(r.Key), "omitted", omitted)
}
