package pipelines

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/configs"
)

// selection says which topic belongs to which pipeline.
type selection struct {
	pipelines []topicSet
	defaults  topicSet
}

// topicSet is some names and patterns.
type topicSet struct {
	names    []string
	patterns []*regexp.Regexp
}

func newSelection(pipelines []configs.Pipeline, def configs.DefaultPipeline) (*selection, error) {
	s := &selection{}
	for _, p := range pipelines {
		var set topicSet
		for _, t := range p.Input.Topics {
			if !strings.HasPrefix(t, "^") {
				set.names = append(set.names, t)
				continue
			}
			re, err := regexp.Compile(t)
			if err != nil {
				return nil, fmt.Errorf("pipeline %s: topic pattern: %w", p.Name, err)
			}
			set.patterns = append(set.patterns, re)
		}
		s.pipelines = append(s.pipelines, set)
	}
	for _, t := range def.Topics {
		re, err := regexp.Compile(t)
		if err != nil {
			return nil, fmt.Errorf("default_pipeline: topic pattern: %w", err)
		}
		s.defaults.patterns = append(s.defaults.patterns, re)
	}
	return s, nil
}

func (t *topicSet) has(topic string) bool {
	if slices.Contains(t.names, topic) {
		return true
	}
	return !isInternal(topic) && slices.ContainsFunc(t.patterns, func(re *regexp.Regexp) bool { return re.MatchString(topic) })
}

// isInternal reports whether a topic is Millrace's or the cluster's own;
// patterns never select those.
func isInternal(topic string) bool {
	return strings.HasPrefix(topic, "millrace.") || strings.HasPrefix(topic, "__")
}

// namedBy reports whether the i-th pipeline reads the topic.
func (s *selection) namedBy(i int, topic string) bool { return s.pipelines[i].has(topic) }

// isDefault reports whether the default pipeline reads the topic.
func (s *selection) isDefault(topic string) bool {
	return s.defaults.has(topic) && !slices.ContainsFunc(s.pipelines, func(set topicSet) bool { return set.has(topic) })
}
