package alerting

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/configs"
)

// Alert is one raised alert, as it stands in the topic millrace.alerts.
type Alert struct {
	// ID follows from rule, group and first event: 32 hexadecimal digits.
	ID string `json:"id"`
	// Time is that of the last event that was counted.
	Time time.Time `json:"@timestamp"`
	// RaisedAt is when the match that completed the window was written.
	RaisedAt time.Time `json:"raised_at"`
	// Pipeline and Rule name the rule.
	Pipeline string `json:"pipeline"`
	// Rule is the rule's name.
	Rule string `json:"rule"`
	// Type is any or frequency.
	Type string `json:"type"`
	// Severity as the rule gives it.
	Severity string `json:"severity,omitempty"`
	// Group holds the values of the rule's group_by fields.
	Group map[string]string `json:"group,omitempty"`
	// Summary is one text that says what happened.
	Summary string `json:"summary"`
	// TemplateError says why the standard text stands where the configuration
	// has a template.
	TemplateError string `json:"template_error,omitempty"`
	// Count of the events that raised the alert.
	Count int `json:"count"`
	// Within is the rule's window, as in the configuration.
	Within string `json:"within,omitempty"`
	// First and Last are the times of the first and the last event counted.
	First time.Time `json:"first_event"`
	// Last is the time of the last event counted.
	Last time.Time `json:"last_event"`
	// EventIDs are the document ids of the events counted, at most 20.
	EventIDs []string `json:"event_ids"`
	// Sample is the event that completed the window, as a document.
	Sample json.RawMessage `json:"sample,omitempty"`
	// Notify are the names of the notifiers that it is sent to.
	Notify []string `json:"notify,omitempty"`
	// Key names rule and group; see [MatchKey].
	Key string `json:"key"`
	// CoverFromMs and CoverToMs bound the event time that belongs to the
	// alert, both exclusive, in milliseconds.
	CoverFromMs int64 `json:"cover_from_ms"`
	// CoverToMs is the end of that time.
	CoverToMs int64 `json:"cover_to_ms"`
}

// Field returns the value of a field of the sample by its dotted name, as text
// "" when there is none. Templates write {{.Field "host.name"}}.
func (a *Alert) Field(name string) any {
	var doc map[string]any
	if err := json.Unmarshal(a.Sample, &doc); err != nil {
		return ""
	}
	return fieldOf(doc, name)
}

func fieldOf(doc map[string]any, name string) any {
	if v, ok := doc[name]; ok {
		return v
	}
	for at, c := range name {
		if c != '.' {
			continue
		}
		if inner, ok := doc[name[:at]].(map[string]any); ok {
			if v := fieldOf(inner, name[at+1:]); v != "" {
				return v
			}
		}
	}
	return ""
}

// newAlert makes the alert that the match m has raised.
func newAlert(m *Match, raised window.Raised, logTime time.Time) *Alert {
	a := &Alert{
		ID:   raised.ID.String(),
		Time: time.UnixMilli(raised.LastMs).UTC(), RaisedAt: logTime.UTC(),
		Pipeline: m.Pipeline, Rule: m.Rule, Type: m.Definition.Type, Severity: m.Definition.Severity,
		Group: m.Group, Count: len(raised.EventIDs),
		First: time.UnixMilli(raised.FirstMs).UTC(), Last: time.UnixMilli(raised.LastMs).UTC(),
		EventIDs: raised.EventIDs[:min(len(raised.EventIDs), eventIDsShownMax)],
		Sample:   m.Event, Notify: m.Definition.Notify, Key: m.Key,
		CoverFromMs: raised.Cover.FromMs, CoverToMs: raised.Cover.ToMs,
	}
	if m.Definition.WithinMs > 0 {
		a.Within = configs.Duration(time.Duration(m.Definition.WithinMs) * time.Millisecond).String()
	}
	a.Summary, a.TemplateError = render(m.Definition.Summary, a, standardSummary(a))
	return a
}

// standardSummary is the text of an alert whose rule gives none.
func standardSummary(a *Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s: ", a.Pipeline, a.Rule)
	if a.Type == typeFrequency {
		fmt.Fprintf(&b, "%d events within %s", a.Count, a.Within)
	} else {
		b.WriteString("event matched")
	}
	if group := groupText(a.Group); group != "" {
		fmt.Fprintf(&b, " (%s)", group)
	}
	if message, ok := a.Field("message").(string); ok && message != "" {
		fmt.Fprintf(&b, ": %s", cut(message, summaryMessageMax))
	}
	return b.String()
}

// partitionOf spreads keys over partitions. Matches and alerts of one key go
// by it, whatever client wrote them.
func partitionOf(key string, partitions int32) int32 {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int32(h.Sum32() % uint32(partitions))
}
