package alerting

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/configs"
)

// Types of rules.
const (
	typeAny       = "any"
	typeFrequency = "frequency"
)

// Match is one event that a rule's condition accepted, as it stands in the
// topic millrace.alert-matches. The record's key is Key.
type Match struct {
	// Key names rule and group; see [MatchKey].
	Key string `json:"key"`
	// Pipeline that the rule belongs to.
	Pipeline string `json:"pipeline"`
	// Rule is the rule's name.
	Rule string `json:"rule"`
	// Group holds the values of the rule's group_by fields.
	Group map[string]string `json:"group,omitempty"`
	// EventID is the id of the event's document.
	EventID string `json:"event_id"`
	// TimeMs is the event's time in milliseconds.
	TimeMs int64 `json:"time_ms"`
	// Definition is the rule at the time of the match.
	Definition Definition `json:"definition"`
	// Event is the event's document, shortened where it is long.
	Event json.RawMessage `json:"event"`
}

// Definition is what the later stages need to know of a rule. It travels with
// each match, so that they need no configuration.
type Definition struct {
	// Type is any or frequency.
	Type string `json:"type"`
	// Count, WithinMs, RealertMs and LatenessMs are those of [window.Rule].
	Count int `json:"count"`
	// WithinMs is the window's length.
	WithinMs int64 `json:"within_ms,omitempty"`
	// RealertMs is how long further alerts are held back.
	RealertMs int64 `json:"realert_ms,omitempty"`
	// LatenessMs is how long events may come late.
	LatenessMs int64 `json:"lateness_ms,omitempty"`
	// Severity, Summary and Notify are as in the configuration.
	Severity string `json:"severity,omitempty"`
	// Summary is the template of the alert's text.
	Summary string `json:"summary,omitempty"`
	// Notify are the names of notifiers.
	Notify []string `json:"notify,omitempty"`
}

func definitionOf(r configs.AlertRule) Definition {
	d := Definition{
		Type: r.Type, Count: 1, RealertMs: r.Realert.D().Milliseconds(),
		Severity: r.Severity, Summary: r.Summary, Notify: r.Notify,
	}
	if r.Type == typeFrequency {
		lateness := r.Lateness.D()
		if lateness <= 0 {
			lateness = latenessDefault
		}
		d.Count, d.WithinMs, d.LatenessMs = r.Count, r.Within.D().Milliseconds(), lateness.Milliseconds()
	}
	return d
}

// windowMatch returns what the window core needs of the match.
func (m *Match) windowMatch(offset int64, logTime time.Time) window.Match {
	d := m.Definition
	return window.Match{
		Key:    m.Key,
		Series: m.Pipeline + "/" + m.Rule + "/" + strconv.FormatInt(d.WithinMs+d.LatenessMs, 10),
		Rule: window.Rule{
			Count: max(d.Count, 1), WithinMs: max(d.WithinMs, 0),
			RealertMs: max(d.RealertMs, 0), LatenessMs: max(d.LatenessMs, 0),
		},
		EventID: m.EventID, TimeMs: m.TimeMs, Offset: offset, LogTimeMs: logTime.UnixMilli(),
	}
}

// decodeMatch reads a record of the matches topic.
func decodeMatch(value []byte) (*Match, error) {
	m := &Match{}
	if err := json.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("read match: %w", err)
	}
	if m.Key == "" || m.Pipeline == "" || m.Rule == "" || m.EventID == "" {
		return nil, fmt.Errorf("read match: key, pipeline, rule or event_id is missing")
	}
	return m, nil
}

// MatchKey names a rule and the values of its group: a JSON list of pipeline,
// rule and values, in the order of group_by. Long values are shortened and told
// apart by a hash.
func MatchKey(pipeline, rule string, values []string) string {
	parts := make([]string, 0, len(values)+2)
	parts = append(parts, pipeline, rule)
	for _, v := range values {
		parts = append(parts, shortenKey(v))
	}
	key, err := json.Marshal(parts)
	if err != nil {
		panic(err) // a list of strings can always be written
	}
	return string(key)
}

func shortenKey(v string) string {
	if len(v) <= keyValueMax {
		return v
	}
	sum := sha256.Sum256([]byte(v))
	return cut(v, keyValueMax/2) + "#" + hex.EncodeToString(sum[:8])
}

// groupText writes a group as "field=value, field=value".
func groupText(group map[string]string) string {
	parts := make([]string, 0, len(group))
	for _, name := range slices.Sorted(maps.Keys(group)) {
		parts = append(parts, name+"="+group[name])
	}
	return strings.Join(parts, ", ")
}

// cut shortens text to at most n bytes, never inside a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
