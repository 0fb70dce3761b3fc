package window

// Defaults of [Limits].
const (
	eventsMaxDefault = 200_000
	alertsMaxDefault = 200_000
)

// Limits bound the memory of one State.
type Limits struct {
	// EventsMax bounds the events of one rule that wait for others; 0 means 200,000.
	EventsMax int
	// AlertsMax bounds the alerts that are remembered; 0 means 200,000.
	AlertsMax int
}

func (l Limits) withDefaults() Limits {
	if l.EventsMax <= 0 {
		l.EventsMax = eventsMaxDefault
	}
	if l.AlertsMax <= 0 {
		l.AlertsMax = alertsMaxDefault
	}
	return l
}
