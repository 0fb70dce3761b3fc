package logquery

import "encoding/json"

// AlertSummary is what a list shows of an alert.
type AlertSummary struct {
	Severity, Pipeline, Rule, Events, Summary string
}

// AlertOf reads an alert as it stands in the topic millrace.alerts or in its
// index. What is missing stays empty.
func AlertOf(alert json.RawMessage) AlertSummary {
	fields, err := Fields(alert)
	if err != nil {
		return AlertSummary{}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if fields[n] != "" {
				return fields[n]
			}
		}
		return ""
	}
	return AlertSummary{
		Severity: first("severity", "event.severity_name"),
		Pipeline: first("pipeline"),
		Rule:     first("rule", "rule.name"),
		Events:   first("count", "events"),
		Summary:  first("summary", "message"),
	}
}
