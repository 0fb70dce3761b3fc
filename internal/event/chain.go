package event

import (
	"errors"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
)

// Chain is a sequence of compiled processors. It is immutable and safe for
// concurrent use.
type Chain struct {
	steps []step
}

// step is one processor and the condition under which it runs; nil is always.
type step struct {
	when *Condition
	processor
}

// processor does one thing to an event. It reports true when the event is to
// be dropped. What it cannot parse it marks with Event.Fail.
type processor interface {
	process(e *Event) (drop bool)
}

// Compile builds the processors of a pipeline. All problems are reported at
// once, as [configs.Errors] with file, line and column of the settings.
func Compile(processors []configs.Processor) (*Chain, error) {
	c := &Chain{}
	var problems configs.Errors
	for i := range processors {
		s, errs := compileStep(&processors[i])
		problems = append(problems, errs...)
		if len(errs) == 0 {
			c.steps = append(c.steps, s)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// Process runs the processors in order and reports whether the event is to be
// dropped; the ones after a drop do not run.
func (c *Chain) Process(e *Event) (drop bool) {
	for i := range c.steps {
		s := &c.steps[i]
		if s.when != nil && !s.when.Match(e) {
			continue
		}
		if s.process(e) {
			return true
		}
	}
	return false
}

// ProcessorNames returns the kinds of processors, in alphabetical order.
func ProcessorNames() []string {
	return []string{
		"convert", "dissect", "drop", "grok", "json", "logfmt",
		"regex", "remove", "rename", "set", "timestamp",
	}
}

func compileStep(p *configs.Processor) (step, configs.Errors) {
	s := newSettings(p)
	build := builderFor(p.Name)
	if build == nil {
		s.failAt(&p.Settings, "there is no processor %q%s: there are %s", p.Name,
			nearest(p.Name, ProcessorNames()), strings.Join(ProcessorNames(), ", "))
		return step{}, s.problems
	}
	when := s.condition()
	built := build(s)
	s.finish()
	return step{when, built}, s.problems
}

// builderFor returns what makes a processor of its settings; problems are
// reported to the settings.
func builderFor(name string) func(*settings) processor {
	switch name {
	case "convert":
		return newConvert
	case "dissect":
		return newDissect
	case "drop":
		return newDrop
	case "grok":
		return newGrok
	case "json":
		return newJSON
	case "logfmt":
		return newLogfmt
	case "regex":
		return newRegex
	case "remove":
		return newRemove
	case "rename":
		return newRename
	case "set":
		return newSet
	case "timestamp":
		return newTimestamp
	}
	return nil
}

// condition reads "when" or its other name "if".
func (s *settings) condition() *Condition {
	when, other := s.take("when"), s.take("if")
	if when != nil && other != nil {
		s.failAt(other, "when and if are the same setting: write one of them")
	}
	if when == nil {
		when = other
	}
	if when == nil {
		return nil
	}
	if when.Kind != yaml.ScalarNode {
		s.failAt(when, "%s must be an expression, for instance 'url.path == \"/healthz\"'", "when")
		return nil
	}
	c, err := CompileCondition(when.Value)
	if err != nil {
		s.failInText(when, conditionOffset(when.Value, err), err)
		return nil
	}
	return c
}

// conditionOffset is the place of a condition's problem in its text, in bytes.
func conditionOffset(text string, err error) int {
	var ce *ConditionError
	if !errors.As(err, &ce) || ce.Line != 1 {
		return 0
	}
	offset, column := 0, 1
	for i := range text {
		if column == ce.Column {
			offset = i
			break
		}
		column++
	}
	return offset
}
