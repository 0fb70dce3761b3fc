package metrics_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Expressions are not evaluated here: they are held against the metrics that there are. An
// expression may only name metrics, labels of theirs, and functions of PromQL that this
// knows, and its brackets and strings must end.

var (
	stringPattern   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	namePattern     = regexp.MustCompile(`[a-zA-Z_$][a-zA-Z0-9_:$]*`)
	selectorPattern = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`)
	matcherPattern  = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*""\s*$`)
	rangePattern    = regexp.MustCompile(`\[\s*(\d+[smhd]|\$__rate_interval|\$__range)\s*\]`)
	groupPattern    = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	callPattern     = regexp.MustCompile(`([a-z_0-9]+)\s*\(`)
	numberPattern   = regexp.MustCompile(`\b\d+(\.\d+)?([eE][+-]?\d+)?\b`)
)

// functions of PromQL that the expressions use.
func functions() []string {
	return []string{"sum", "max", "min", "avg", "count", "topk", "rate", "increase", "deriv", "predict_linear", "histogram_quantile", "label_replace", "clamp_min", "time", "vector"}
}

func keywords() []string {
	return []string{"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset"}
}

// expressions checks what is written in PromQL against the metrics of the product.
type expressions struct{ metrics map[string]metric }

func newExpressions(t *testing.T) *expressions {
	t.Helper()
	e := &expressions{metrics: map[string]metric{}}
	for _, m := range everything(t) {
		e.metrics[m.name] = m
	}
	e.metrics["up"] = metric{name: "up", kind: "gauge"}
	for _, m := range []struct{ name, kind string }{
		{"go_goroutines", "gauge"},
		{"go_memstats_heap_inuse_bytes", "gauge"},
		{"go_gc_duration_seconds", "summary"},
		{"process_cpu_seconds_total", "counter"},
		{"process_resident_memory_bytes", "gauge"},
		{"process_open_fds", "gauge"},
		{"process_max_fds", "gauge"},
	} {
		e.metrics[m.name] = metric{name: m.name, kind: m.kind}
	}
	return e
}

// find returns the metric that a series is of: histograms have three kinds.
func (e *expressions) find(series string) (m metric, suffix string, ok bool) {
	if m, ok = e.metrics[series]; ok {
		return m, "", true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if m, ok = e.metrics[strings.TrimSuffix(series, suffix)]; ok && strings.HasSuffix(series, suffix) && m.kind == "histogram" {
			return m, suffix, true
		}
	}
	return m, "", false
}

// check returns what is wrong with an expression.
func (e *expressions) check(expr string) []string {
	var wrong []string
	problem := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	bare := stringPattern.ReplaceAllString(expr, `""`)
	if strings.Count(bare, `"`)%2 != 0 {
		problem("a string does not end")
	}
	for _, pair := range []string{"()", "{}", "[]"} {
		if err := balanced(bare, pair[0], pair[1]); err != "" {
			problem("%s", err)
		}
	}
	labels := []string{"instance", "job", "le"}
	for _, s := range selectorPattern.FindAllStringSubmatch(bare, -1) {
		m, suffix, ok := e.find(s[1])
		if !ok {
			problem("%s does not exist", s[1])
			continue
		}
		for matcher := range strings.SplitSeq(s[2], ",") {
			parts := matcherPattern.FindStringSubmatch(matcher)
			switch {
			case parts == nil:
				problem("%q is no matcher", matcher)
			case !slices.Contains(m.labels, parts[1]) && !slices.Contains(labels[:2], parts[1]) && (parts[1] != "le" || suffix != "_bucket"):
				problem("%s has no label %s", m.name, parts[1])
			}
		}
	}
	rest := selectorPattern.ReplaceAllString(bare, "$1")
	if n := strings.Count(rest, "["); n != len(rangePattern.FindAllString(rest, -1)) {
		problem("a range is no time")
	}
	rest = rangePattern.ReplaceAllString(rest, "")
	var used []metric
	for _, name := range namePattern.FindAllString(groupPattern.ReplaceAllString(rest, ""), -1) {
		if m, suffix, ok := e.find(name); ok {
			used = append(used, m)
			wrong = append(wrong, misused(m, suffix, name, rest)...)
		}
	}
	for _, g := range groupPattern.FindAllStringSubmatch(rest, -1) {
		for label := range strings.SplitSeq(g[2], ",") {
			label = strings.TrimSpace(label)
			if label != "" && !slices.Contains(labels, label) && !slices.ContainsFunc(used, func(m metric) bool { return slices.Contains(m.labels, label) }) {
				problem("no metric of it has the label %s", label)
			}
		}
	}
	for _, call := range callPattern.FindAllStringSubmatch(rest, -1) {
		if !slices.Contains(functions(), call[1]) && !slices.Contains(keywords(), call[1]) {
			problem("%s is no function that is known here", call[1])
		}
	}
	rest = numberPattern.ReplaceAllString(groupPattern.ReplaceAllString(rest, ""), "")
	for _, name := range namePattern.FindAllString(rest, -1) {
		if _, _, ok := e.find(name); !ok && !slices.Contains(functions(), name) && !slices.Contains(keywords(), name) {
			problem("%s does not exist", name)
		}
	}
	if len(used) == 0 {
		problem("it names no metric")
	}
	return wrong
}

// misused says when a counter is taken for a gauge or the other way round.
func misused(m metric, suffix, series, expr string) []string {
	ofCounter := regexp.MustCompile(`(rate|increase)\s*\(\s*` + regexp.QuoteMeta(series) + `\b`).MatchString(expr)
	isCounter := m.kind == "counter" || suffix != ""
	switch {
	case ofCounter && !isCounter:
		return []string{"rate of " + series + ", which is a " + m.kind}
	case !ofCounter && isCounter:
		return []string{series + " is a counter and stands without rate or increase"}
	case m.kind == "histogram" && suffix == "":
		return []string{series + " is a histogram: write _bucket, _sum or _count"}
	}
	return nil
}

func balanced(s string, begin, end byte) string {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case begin:
			depth++
		case end:
			depth--
		}
		if depth < 0 {
			return fmt.Sprintf("a %q too many", end)
		}
	}
	if depth > 0 {
		return fmt.Sprintf("a %q is not closed", begin)
	}
	return ""
}

// TestWrongExpressionsAreFound: a check that accepts anything would be no check.
func TestWrongExpressionsAreFound(t *testing.T) {
	e := newExpressions(t)
	for _, good := range []string{
		`sum by (api) (rate(millrace_broker_requests_total{instance=~"$instance"}[$__rate_interval]))`,
		`histogram_quantile(0.99, sum by (le) (rate(millrace_broker_request_seconds_bucket{api="Produce"}[5m]))) > 0.5`,
		`up{job="millrace"} == 0`,
	} {
		if wrong := e.check(good); len(wrong) > 0 {
			t.Errorf("%s: %v", good, wrong)
		}
	}
	for _, bad := range []string{
		`rate(millrace_broker_no_such_total[5m])`,
		`millrace_broker_no_such{a="b"}`,
		`sum by (colour) (rate(millrace_broker_requests_total[5m]))`,
		`rate(millrace_broker_requests_total{colour="red"}[5m])`,
		`rate(millrace_broker_requests_total{api=red}[5m])`,
		`millrace_broker_requests_total`,
		`rate(millrace_broker_partitions[5m])`,
		`rate(millrace_broker_request_seconds[5m])`,
		`rate(millrace_broker_requests_total[five])`,
		`sum(rate(millrace_broker_requests_total[5m])`,
		`frobnicate(millrace_broker_partitions)`,
		`millrace_broker_partitions > "many`,
		`1 + 1`,
	} {
		if wrong := e.check(bad); len(wrong) == 0 {
			t.Errorf("nothing is wrong with %s", bad)
		}
	}
}
