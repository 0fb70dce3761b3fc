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
// once, as [configs.Errors] with line and column of the settings and without
// the name of the file.
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
	s := newSettings(p.Name, &p.Settings)
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
	case "drop":
		return newDrop
	case "json":
		return newJSON
	case "remove":
		return newRemove
	case "rename":
		return newRename
	case "set":
		return newSet
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
		var ce *ConditionError
		if errors.As(err, &ce) && when.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && ce.Line == 1 {
			column := when.Column + ce.Column - 1
			if when.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
				column++
			}
			s.problems = append(s.problems, &configs.FieldError{Line: when.Line, Column: column, Msg: err.Error()})
			return nil
		}
		s.failAt(when, "%s", err)
		return nil
	}
	return c
}
