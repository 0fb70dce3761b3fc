package broker

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	brokerDocument     = "../docs/broker.md"
	topicConfigsBegin  = "<!-- topic configs: made by broker, go test -run TableOfTopicConfigs -rewrite -->\n"
	topicConfigsEnd    = "<!-- end of topic configs -->"
	topicConfigsHeader = "| config | default of a broker | its default | values | here | what it does |\n|---|---|---|---|---|---|\n"
)

// whatIsDone says in one word what the node does with a config.
func whatIsDone(d configDef) string {
	switch d.effect {
	case effectHonoured:
		return "honoured"
	case effectNone:
		return "kept, without effect"
	default:
		return "read-only: other values are refused"
	}
}

// configValues says what a config can be set to.
func configValues(d configDef) string {
	number := func(n int64) string {
		if n == math.MaxInt64 || n == math.MaxInt32 {
			return "…"
		}
		return fmt.Sprint(n)
	}
	switch d.kind {
	case kmsg.ConfigTypeBoolean:
		return "true, false"
	case kmsg.ConfigTypeString, kmsg.ConfigTypeList:
		if len(d.values) == 0 {
			return "any"
		}
		return strings.Join(d.values, ", ")
	default:
		return number(d.min) + " to " + number(d.max)
	}
}

func topicConfigsTable() string {
	var b strings.Builder
	b.WriteString(topicConfigsHeader)
	for _, d := range topicConfigs() {
		from, def := "–", d.def
		if d.broker != "" {
			from = "`" + d.broker + "`"
		}
		if def == maxInt64Text {
			def = "no limit"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", d.name, from, def, configValues(d), whatIsDone(d), strings.TrimSuffix(d.doc, "."))
	}
	return b.String()
}

// TestTheTableOfTopicConfigsIsCurrent compares docs/broker.md with what the node does. That the
// list is Kafka's is seen by the peer tests, which describe all configs of a topic on both.
func TestTheTableOfTopicConfigsIsCurrent(t *testing.T) {
	content, err := os.ReadFile(brokerDocument)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), topicConfigsBegin)
	have, after, ended := strings.Cut(rest, topicConfigsEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table", brokerDocument)
	}
	want := topicConfigsTable()
	if *rewrite {
		if err := os.WriteFile(brokerDocument, []byte(before+topicConfigsBegin+want+topicConfigsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s is not current: run go test ./broker -run TableOfTopicConfigs -rewrite", brokerDocument)
	}
}

// TestTopicConfigsDoWhatTheTableSays: those that are read-only refuse another value and take
// their own, the others take another one; and all take what Kafka has by default.
func TestTopicConfigsDoWhatTheTableSays(t *testing.T) {
	cfg := testConfig()
	for _, d := range topicConfigs() {
		other := "1"
		switch {
		case d.kind == kmsg.ConfigTypeBoolean:
			other = "true"
		case len(d.values) > 0:
			other = d.values[0]
		case d.kind == kmsg.ConfigTypeLong || d.kind == kmsg.ConfigTypeInt:
			other = fmt.Sprint(max(d.min+7, 7))
		}
		err := d.check(other, cfg)
		switch {
		case d.effect == effectFixed && (err == nil || !strings.Contains(err.Error(), "supports only")):
			t.Errorf("%s=%s: %v, want a refusal that says what is supported", d.name, other, err)
		case d.effect != effectFixed && err != nil:
			t.Errorf("%s=%s: %v", d.name, other, err)
		}
		if own := d.startValue(cfg); d.def != "" {
			if err := d.check(own, cfg); err != nil {
				t.Errorf("%s=%s, which is its default: %v", d.name, own, err)
			}
		}
		if d.doc == "" {
			t.Errorf("%s does not say what it does", d.name)
		}
	}
}
