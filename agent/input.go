package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/files"
	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/record"
)

// input is one entry of agent.inputs, checked.
type input struct {
	name       string
	topic      string
	matcher    *files.Matcher
	fromEnd    bool
	flushAfter time.Duration
	settings   *batch.Settings
	settingsID uint32
	framer     *batch.Framer
	// first is true until the input's files have been looked at once by any agent of this registry.
	first bool
	// seenMs is when they were.
	seenMs int64
}

// newInputs checks all inputs and reports all that is wrong at once.
func newInputs(cfg configs.Agent, agentID string, reg *registry.Registry) ([]*input, error) {
	host := cfg.Hostname
	if host == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("find the host's name (set agent.hostname): %w", err)
		}
		host = name
	}
	var inputs []*input
	var errs []error
	for i, in := range cfg.Inputs {
		one, err := newInput(in, cfg.Compression, host, agentID)
		if err == nil {
			one.settingsID, err = reg.Intern(one.settings)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("agent.inputs[%d]: %w", i, err))
			continue
		}
		one.seenMs = reg.InputSeenMs(one.name)
		one.first = one.seenMs == 0
		inputs = append(inputs, one)
	}
	return inputs, errors.Join(errs...)
}

// withDefaults fills what an input that was made in code leaves out.
func withDefaults(in configs.Input) configs.Input {
	d := configs.DefaultInput()
	in.Topic = cmp.Or(in.Topic, d.Topic)
	in.Codec = cmp.Or(in.Codec, d.Codec)
	in.Encoding = cmp.Or(in.Encoding, d.Encoding)
	in.StartAt = cmp.Or(in.StartAt, d.StartAt)
	in.LineMax = cmp.Or(in.LineMax, d.LineMax)
	in.Multiline.Match = cmp.Or(in.Multiline.Match, d.Multiline.Match)
	in.Multiline.LinesMax = cmp.Or(in.Multiline.LinesMax, d.Multiline.LinesMax)
	in.Multiline.FlushAfter = cmp.Or(in.Multiline.FlushAfter, d.Multiline.FlushAfter)
	return in
}

// topicName is what Kafka accepts as the name of a topic.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func newInput(in configs.Input, compression, host, agentID string) (*input, error) {
	in = withDefaults(in)
	m, err := files.NewMatcher(in.Include, in.Exclude)
	if err != nil {
		return nil, err
	}
	if !topicName.MatchString(in.Topic) {
		return nil, fmt.Errorf("topic %q is no valid name: letters, digits, '.', '_' and '-' are, at most 249", in.Topic)
	}
	if in.Codec != "raw" && in.Codec != "ecs" {
		return nil, fmt.Errorf("codec is %q: write raw or ecs", in.Codec)
	}
	if in.StartAt != "beginning" && in.StartAt != "end" {
		return nil, fmt.Errorf("start_at is %q: write beginning or end", in.StartAt)
	}
	s := &batch.Settings{
		Agent: agentID, Host: host, Topic: in.Topic, Codec: in.Codec, Encoding: strings.ToLower(in.Encoding),
		LineMax: int(in.LineMax), Compression: cmp.Or(compression, "lz4"),
		Multiline: batch.Multiline{Pattern: in.Multiline.Pattern},
	}
	if in.Multiline.Pattern != "" {
		s.Multiline.Negate, s.Multiline.Match, s.Multiline.LinesMax = in.Multiline.Negate, in.Multiline.Match, in.Multiline.LinesMax
	}
	reserved := []string{record.HeaderHost, record.HeaderPath, record.HeaderFile, record.HeaderOffset, record.HeaderAgent, record.HeaderFlags}
	for name, value := range in.Fields {
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("fields.%s: the name is used by Millrace itself: choose another", name)
		}
		s.Fields = append(s.Fields, batch.Field{Name: name, Value: value})
	}
	slices.SortFunc(s.Fields, func(a, b batch.Field) int { return cmp.Compare(a.Name, b.Name) })
	f, err := batch.NewFramer(s)
	if err != nil {
		return nil, err
	}
	return &input{
		name: cmp.Or(in.Name, in.Topic+" "+strings.Join(in.Include, " ")), topic: in.Topic, matcher: m,
		fromEnd: in.StartAt == "end", flushAfter: in.Multiline.FlushAfter.D(), settings: s, framer: f,
	}, nil
}
