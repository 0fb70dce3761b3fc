package pipelines

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/event"
)

// Check reports everything that is wrong with the processors and outputs of a
// configuration, without starting anything.
func Check(cfg configs.Config) configs.Errors {
	var problems configs.Errors
	for i := range cfg.Pipelines {
		p := &cfg.Pipelines[i]
		path := fmt.Sprintf("pipelines[%d]", i)
		switch p.Name {
		case defaultName:
			problems = append(problems, cfg.At(path+".name", "%q is the built-in pipeline's name: choose another", p.Name))
		case "alerts":
			problems = append(problems, cfg.At(path+".name", "%q is taken: millrace-alerts-* holds the raised alerts", p.Name))
		}
		if _, err := event.Compile(p.Process); err != nil {
			var errs configs.Errors
			if !errors.As(err, &errs) {
				errs = configs.Errors{cfg.At(path+".process", "%s", err)}
			}
			problems = append(problems, errs...)
		}
		if out := p.Output.Elasticsearch; out != nil && out.Index != "" && !validPrefix(out.Index) {
			problems = append(problems, cfg.At(path+".output.elasticsearch.index",
				"%q cannot begin the name of an index: use lower-case letters, digits, dot, hyphen and underscore", out.Index))
		}
	}
	return problems
}

// validPrefix leaves room for the day in Elasticsearch's limit of 255 bytes.
func validPrefix(prefix string) bool {
	return len(prefix) <= 200 && regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`).MatchString(prefix)
}
