package wire

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// API is one row of the table of APIs that a server answers.
type API struct {
	// Key is Kafka's API key; Min and Max are the versions that are accepted,
	// which are those that ApiVersions advertises.
	Key, Min, Max int16
	// Large marks an API whose requests carry record data. Its frames may be as
	// large as the server's RequestMax, because it decodes them without
	// copying; any other frame must leave room for what kmsg makes of it.
	Large bool
	// Serve is called by the connection's reader. It must see to it that the
	// request is answered exactly once, at once or later.
	Serve func(*Request)
}

// api is an API with what the reader has to know about its encoding.
type api struct {
	API
	name         string
	schema       *schema
	flexibleFrom int16 // first version with tagged fields
	requests     prometheus.Counter
	pending      prometheus.Gauge
	times        func() *apiTimes // made by the first request
	metrics      *Metrics
	errors       *errorPlan
}

func newAPI(a API, m *Metrics) (*api, error) {
	req := kmsg.RequestForKey(a.Key)
	if req == nil {
		return nil, fmt.Errorf("API key %d is unknown", a.Key)
	}
	if a.Min < 0 || a.Max < a.Min || a.Max > req.MaxVersion() {
		return nil, fmt.Errorf("API %s cannot have the versions %d to %d", kmsg.NameForKey(a.Key), a.Min, a.Max)
	}
	s, err := newSchema(req)
	if err != nil {
		return nil, err
	}
	name := kmsg.NameForKey(a.Key)
	out := &api{
		API: a, name: name, schema: s, flexibleFrom: a.Max + 1,
		requests: m.requests.WithLabelValues(name), pending: m.pending.WithLabelValues(name),
		times: sync.OnceValue(func() *apiTimes { return newAPITimes(m, name) }), metrics: m, errors: planErrors(req.ResponseKind()),
	}
	for v := a.Max; v >= 0; v-- {
		req.SetVersion(v)
		if !req.IsFlexible() {
			break
		}
		out.flexibleFrom = v
	}
	return out, nil
}

func (a *api) flexible(version int16) bool { return version >= a.flexibleFrom }
