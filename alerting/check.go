package alerting

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/event"
)

// Check returns the problems of alert rules that [configs.Config.Validate]
// does not see, because it knows no expressions: conditions and field names, with
// file, line and column. A broken template is no problem here: its alert goes out
// with a standard text.
func Check(cfg *configs.Config) configs.Errors {
	var problems configs.Errors
	for i, p := range cfg.Pipelines {
		for j, r := range p.Alerts {
			path := fmt.Sprintf("pipelines[%d].alerts[%d]", i, j)
			problems = append(problems, checkRule(cfg, path, r)...)
		}
	}
	return problems
}

func checkRule(cfg *configs.Config, path string, r configs.AlertRule) configs.Errors {
	var problems configs.Errors
	if r.Where != "" {
		if _, err := event.CompileCondition(r.Where); err != nil {
			problems = append(problems, conditionError(cfg, path+".where", err))
		}
	}
	if r.Type == typeAny && (r.Count != 0 || r.Within != 0) {
		problems = append(problems, cfg.At(path+".type", "a rule of type any alerts on every event and has no count or within: write type: frequency"))
	}
	if r.Count > countMax {
		problems = append(problems, cfg.At(path+".count", "%d is too large: at most %d", r.Count, countMax))
	}
	seen := map[string]bool{}
	for k, field := range r.GroupBy {
		at := fmt.Sprintf("%s.group_by[%d]", path, k)
		if name, ok := event.CleanName(field); !ok || name != field {
			problems = append(problems, cfg.At(at, "%q is not a field name: write for instance host.name", field))
		}
		if seen[field] {
			problems = append(problems, cfg.At(at, "%q is given twice", field))
		}
		seen[field] = true
	}
	return problems
}

// conditionError moves the place of a condition's error from its own text to
// the file, where the condition stands on one line.
func conditionError(cfg *configs.Config, path string, err error) *configs.FieldError {
	e := cfg.At(path, "%v", err)
	var inside *event.ConditionError
	if errors.As(err, &inside) && inside.Line == 1 && e.Line > 0 {
		e.Msg = fmt.Sprintf("%s: %s", path, inside.Msg)
		e.Column += inside.Column // after the opening quote
	}
	return e
}
