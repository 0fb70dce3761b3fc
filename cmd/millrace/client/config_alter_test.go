package client

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A cluster may show the configs of before for a moment: what is printed after a change waits until it is seen.
func TestShowChanges(t *testing.T) {
	const topic, fallback = "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_DEFAULT_BROKER_CONFIG"
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name   string
		row    *configRow // nil: the config is not shown
		op     kmsg.IncrementalAlterConfigOp
		value  *string
		wanted bool
	}{
		{"set", &configRow{Value: text("1"), Source: topic}, kmsg.IncrementalAlterConfigOpSet, text("1"), true},
		{"set, not seen yet", &configRow{Value: text("2"), Source: topic}, kmsg.IncrementalAlterConfigOpSet, text("1"), false},
		{"set, not there yet", nil, kmsg.IncrementalAlterConfigOpSet, text("1"), false},
		{"set, without a value", &configRow{Source: topic}, kmsg.IncrementalAlterConfigOpSet, text("1"), false},
		{"set, a secret", &configRow{Sensitive: true, Source: topic}, kmsg.IncrementalAlterConfigOpSet, text("1"), true},
		{"unset", nil, kmsg.IncrementalAlterConfigOpDelete, nil, true},
		{"unset, not seen yet", &configRow{Value: text("1"), Source: topic}, kmsg.IncrementalAlterConfigOpDelete, nil, false},
		{"unset, still a default of all", &configRow{Value: text("1"), Source: fallback}, kmsg.IncrementalAlterConfigOpDelete, nil, true},
		{"added", &configRow{Value: text("compact,delete"), Source: topic}, kmsg.IncrementalAlterConfigOpAppend, text("delete"), true},
		{"added, not all seen yet", &configRow{Value: text("a,b"), Source: topic}, kmsg.IncrementalAlterConfigOpAppend, text("b,c"), false},
		{"added, not there yet", nil, kmsg.IncrementalAlterConfigOpAppend, text("b"), false},
		{"taken out", &configRow{Value: text("delete"), Source: topic}, kmsg.IncrementalAlterConfigOpSubtract, text("compact"), true},
		{"taken out, not seen yet", &configRow{Value: text("compact,delete"), Source: topic}, kmsg.IncrementalAlterConfigOpSubtract, text("compact"), false},
		{"taken out, as by default", nil, kmsg.IncrementalAlterConfigOpSubtract, text("compact"), true},
	} {
		d := describedConfigs{Kind: "topic", Name: "x"}
		if c.row != nil {
			c.row.Name = "some.config"
			d.Configs = append(d.Configs, *c.row)
		}
		if got := showChanges([]describedConfigs{d}, []configChange{{Name: "some.config", Op: c.op, Value: c.value}}); got != c.wanted {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
