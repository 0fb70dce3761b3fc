package configs

// Alerting bounds the memory of the windows and names the topics' settings.
type Alerting struct {
	// WaitingEventsMax bounds the events of one rule that wait in one partition
	// of the matches topic for others of their window. The oldest are dropped
	// and counted.
	WaitingEventsMax int `yaml:"waiting_events_max" min:"1"`
	// RememberedAlertsMax bounds the alerts of one partition whose ids are
	// known, so that they are not raised twice.
	RememberedAlertsMax int `yaml:"remembered_alerts_max" min:"1"`
	// Retention is how long raised alerts are kept in their topic.
	Retention Duration `yaml:"retention" min:"1h"`
	// DeliveriesMax is the number of alerts that are sent to one notifier at
	// the same time, for each partition.
	DeliveriesMax int `yaml:"deliveries_max" min:"1"`
}

// AlertRule raises alerts from the events of a pipeline.
type AlertRule struct {
	// Name of the rule, unique within the pipeline.
	Name string `yaml:"name"`
	// Type is any (every matching event) or frequency (count events within a
	// time, in event time).
	Type string `yaml:"type" oneof:"any frequency"`
	// Where is the condition that an event must meet, an expression over its fields.
	Where string `yaml:"where"`
	// Count is the number of events that raises a frequency alert.
	Count int `yaml:"count"`
	// Within is the length of a frequency rule's window.
	Within Duration `yaml:"within"`
	// Lateness is how much longer than within an event waits for others of its
	// window that reach the alerting later; 0 means 5m.
	Lateness Duration `yaml:"lateness" min:"0s"`
	// GroupBy are fields; each combination of their values is counted apart.
	GroupBy []string `yaml:"group_by"`
	// Realert holds back further alerts of the same rule and group for this long.
	Realert Duration `yaml:"realert" min:"0s"`
	// Severity is put into the alert: critical, error, warning or info.
	Severity string `yaml:"severity" oneof:"critical error warning info"`
	// Summary is a text/template over the alert; empty gives a standard one.
	Summary string `yaml:"summary"`
	// Notify are names of notifiers.
	Notify []string `yaml:"notify"`
}

// Notifier is one place that alerts are sent to. Exactly one of its parts is given.
type Notifier struct {
	// Webhook posts the alert as JSON.
	Webhook *WebhookNotifier `yaml:"webhook"`
	// File appends the alert as one JSON line.
	File *FileNotifier `yaml:"file"`
	// Stdout prints the alert as one JSON line.
	Stdout *StdoutNotifier `yaml:"stdout"`
}

// WebhookNotifier posts alerts over HTTP, at least once, with the alert's id
// in the header Idempotency-Key.
type WebhookNotifier struct {
	// URL that is posted to.
	URL string `yaml:"url"`
	// Headers that are sent along.
	Headers map[string]string `yaml:"headers"`
	// Body is a text/template over the alert; empty posts the alert as JSON.
	Body string `yaml:"body"`
	// Timeout of one call.
	Timeout Duration `yaml:"timeout"`
	// RetryFor is how long a failing call is repeated before the alert is
	// marked as not delivered.
	RetryFor Duration `yaml:"retry_for"`
}

// FileNotifier appends alerts to a file.
type FileNotifier struct {
	// Path of the file; it is created when missing.
	Path string `yaml:"path"`
}

// StdoutNotifier prints alerts to standard output.
type StdoutNotifier struct{}
