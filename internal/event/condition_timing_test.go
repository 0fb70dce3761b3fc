package event

import (
	"testing"

	"github.com/expr-lang/expr"
)

// BenchmarkConditionByExprVM is the same test as BenchmarkConditionStatus by
// the machine of expr-lang/expr, over nested maps that are already there.
func BenchmarkConditionByExprVM(b *testing.B) {
	program, err := expr.Compile(`http.response.status_code >= 500 and not (url.path == "/x")`, expr.AllowUndefinedVariables())
	if err != nil {
		b.Fatal(err)
	}
	env := map[string]any{
		"http": map[string]any{"response": map[string]any{"status_code": 503}},
		"url":  map[string]any{"path": "/healthz"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if out, err := expr.Run(program, env); err != nil || out != true {
			b.Fatal(out, err)
		}
	}
}
