package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/internal/clusterview"
)

// TestErrorsNameTheirCodeAndWhatToDo: what a broker refuses is said with the code's name
// and the next step, whichever library has met it.
func TestErrorsNameTheirCodeAndWhatToDo(t *testing.T) {
	words := "It is so."
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"unknown topic":               {topicError("logs", sarama.ErrUnknownTopicOrPartition), []string{`topic "logs" does not exist`, "(UNKNOWN_TOPIC_OR_PARTITION)", "millrace topic list"}},
		"topic that exists":           {topicError("logs", sarama.ErrTopicAlreadyExists), []string{"exists already", "(TOPIC_ALREADY_EXISTS)", "--if-not-exists"}},
		"topic with the broker's why": {topicError("logs", &sarama.TopicError{Err: sarama.ErrInvalidConfig, ErrMsg: &words}), []string{`topic "logs": It is so (INVALID_CONFIG)`, "config describe"}},
		"unknown group":               {groupError("g", sarama.ErrGroupIDNotFound), []string{"(GROUP_ID_NOT_FOUND)", "millrace group list"}},
		"group with members":          {groupError("g", sarama.ErrNonEmptyGroup), []string{`consumer group "g": it has members (NON_EMPTY_GROUP)`, "stop its consumers"}},
		"loading":                     {fmt.Errorf("offsets: %w", kerr.CoordinatorLoadInProgress), []string{"COORDINATOR_LOAD_IN_PROGRESS", "try again in a few seconds"}},
		"loading, met by sarama":      {groupError("g", sarama.ErrOffsetsLoadInProgress), []string{"(COORDINATOR_LOAD_IN_PROGRESS)", "try again in a few seconds"}},
		"not allowed":                 {apiResult(kerr.TopicAuthorizationFailed.Code, nil, "topic %q", "t"), []string{"(TOPIC_AUTHORIZATION_FAILED)", "acl add"}},
		"no authorizer":               {apiResult(kerr.SecurityDisabled.Code, nil, "acls"), []string{"(SECURITY_DISABLED)", "authorizer.enabled"}},
		"a code of tomorrow":          {apiResult(31000, nil, "x"), []string{"UNKNOWN_CODE_31000"}},
		"not reached":                 {fmt.Errorf("%w at x", clusterview.ErrUnreachable), []string{"--brokers"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := advise(c.err).Error()
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
		})
	}
	plain := errors.New("nothing of Kafka's")
	if got := advise(plain); got != plain { //nolint:errorlint // the same value
		t.Errorf("%q became %q", plain, got)
	}
	if apiResult(0, &words, "x") != nil {
		t.Error("code 0 is an error")
	}
}
