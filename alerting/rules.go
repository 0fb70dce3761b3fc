package alerting

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/event"
)

// pipeline is the part of a pipeline that alerting needs, compiled.
type pipeline struct {
	name   string
	chosen func(topic string) bool
	// startAt is sarama's special offset for a group without a commit.
	startAt int64
	chain   *event.Chain
	rules   []rule
}

// rule is one compiled alert rule.
type rule struct {
	name       string
	where      *event.Condition
	groupBy    []string
	definition Definition
}

func newPipeline(p configs.Pipeline) (*pipeline, error) {
	chosen, err := consume.Patterns(p.Input.Topics)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", p.Name, err)
	}
	chain, err := event.Compile(p.Process)
	if err != nil {
		return nil, fmt.Errorf("pipeline %s: %w", p.Name, err)
	}
	c := &pipeline{name: p.Name, chosen: chosen, startAt: sarama.OffsetOldest, chain: chain}
	if p.Input.StartAt == "end" {
		c.startAt = sarama.OffsetNewest
	}
	for _, r := range p.Alerts {
		where, err := event.CompileCondition(r.Where)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s, alert %s: where: %w", p.Name, r.Name, err)
		}
		c.rules = append(c.rules, rule{name: r.Name, where: where, groupBy: r.GroupBy, definition: definitionOf(r)})
	}
	return c, nil
}

// matches runs the processors over a record and returns a match for each rule
// that accepts the event.
func (p *pipeline) matches(m *sarama.ConsumerMessage, now time.Time) []*Match {
	e := event.FromMessage(m, now)
	if p.chain.Process(e) {
		return nil
	}
	var found []*Match
	var doc json.RawMessage
	for i := range p.rules {
		r := &p.rules[i]
		if !r.where.Match(e) {
			continue
		}
		if doc == nil {
			doc = eventDocument(e)
		}
		found = append(found, p.match(r, e, doc))
	}
	return found
}

func (p *pipeline) match(r *rule, e *event.Event, doc json.RawMessage) *Match {
	m := &Match{
		Pipeline: p.name, Rule: r.name,
		EventID: e.DocumentID(), TimeMs: e.Timestamp.UnixMilli(),
		Definition: r.definition, Event: doc,
	}
	values := make([]string, len(r.groupBy))
	for i, field := range r.groupBy {
		values[i] = e.Text(field)
		if m.Group == nil {
			m.Group = make(map[string]string, len(r.groupBy))
		}
		m.Group[field] = shortenKey(values[i])
	}
	m.Key = MatchKey(p.name, r.name, values)
	return m
}

// eventDocument returns the event as a document of at most eventSizeMax bytes
// or so. A larger one keeps the fields that tell what and where it is.
func eventDocument(e *event.Event) json.RawMessage {
	doc := e.AppendJSON(nil)
	if len(doc) <= eventSizeMax {
		return doc
	}
	short := map[string]any{event.FieldTimestamp: event.FormatTime(e.Timestamp), "shortened": true}
	for _, f := range []string{
		event.FieldMessage, event.FieldHostName, event.FieldLogFilePath, event.FieldLogLevel, event.FieldAgentID,
		"service.name", "url.path", "http.response.status_code", "source.ip", "trace.id",
	} {
		if e.Has(f) {
			short[f] = cut(e.Text(f), fieldSizeMax)
		}
	}
	out, err := json.Marshal(short)
	if err != nil {
		panic(err) // texts can always be written
	}
	return out
}
