package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// apiError is an error code that a broker answered with for one thing.
type apiError struct {
	// what was asked for, as `topic "logs"`.
	what string
	code *kerr.Error
	// message is the broker's own words, empty when it sent none.
	message string
}

// Error says what, why and the code by its name in Kafka's protocol.
func (e *apiError) Error() string {
	why := e.message
	if why == "" {
		why = e.code.Description
	}
	return fmt.Sprintf("%s: %s (%s)", e.what, strings.TrimSuffix(why, "."), e.code.Message)
}

// Unwrap lets errors.Is find the code.
func (e *apiError) Unwrap() error { return e.code }

// apiResult is the error that a response's code stands for, nil for none.
func apiResult(code int16, message *string, what string, args ...any) error {
	if code == 0 {
		return nil
	}
	e := &apiError{what: fmt.Sprintf(what, args...), code: codeError(code)}
	if message != nil {
		e.message = *message
	}
	return e
}

// codeError names a code; one that is newer than this program is UNKNOWN with its number.
func codeError(code int16) *kerr.Error {
	if e, ok := errors.AsType[*kerr.Error](kerr.ErrorForCode(code)); ok && (e != kerr.UnknownServerError || code == kerr.UnknownServerError.Code) {
		return e
	}
	return &kerr.Error{Message: fmt.Sprintf("UNKNOWN_CODE_%d", code), Code: code, Description: "the broker answered with a code that this version does not know"}
}

// codeOf finds the code that an error of either client library stands for, nil for none.
func codeOf(err error) *kerr.Error {
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[sarama.KError](err); ok && e != sarama.ErrNoError {
		return codeError(int16(e))
	}
	return nil
}

// explainCode adds to an error the name of the code that caused it, where it is not said
// yet, and what to do next.
func explainCode(err error) error {
	code := codeOf(err)
	if code == nil {
		return err
	}
	if !strings.Contains(err.Error(), code.Message) {
		err = fmt.Errorf("%w (%s)", err, code.Message)
	}
	if step := nextStep(code); step != "" {
		err = fmt.Errorf("%w: %s", err, step)
	}
	return err
}

// nextStep is what somebody can do who gets the code; empty when the message says it all.
func nextStep(code *kerr.Error) string {
	for _, s := range nextSteps() {
		for _, c := range s.codes {
			if c.Code == code.Code {
				return s.step
			}
		}
	}
	return ""
}

type codeStep struct {
	step  string
	codes []*kerr.Error
}

func nextSteps() []codeStep {
	on := func(step string, codes ...*kerr.Error) codeStep { return codeStep{step, codes} }
	return []codeStep{
		on(`"millrace topic list" shows the topics that there are, "millrace topic describe" their partitions`, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID),
		on(`"millrace group list" shows the groups that there are`, kerr.GroupIDNotFound),
		on("stop its consumers first, or wait until their sessions have ended", kerr.NonEmptyGroup, kerr.UnknownMemberID),
		on("a consumer of the group is subscribed to the topic: stop it first", kerr.GroupSubscribedToTopic),
		on("the coordinator is still reading its state after a start: try again in a few seconds", kerr.CoordinatorLoadInProgress),
		on("no broker coordinates it at the moment: try again in a few seconds; if it stays, see the log of the brokers", kerr.CoordinatorNotAvailable, kerr.NotCoordinator),
		on("the cluster is choosing a leader or controller: try again in a few seconds", kerr.LeaderNotAvailable, kerr.NotLeaderForPartition, kerr.NotController, kerr.FencedLeaderEpoch),
		on("the broker did not finish in time: see whether it was done, then try again", kerr.RequestTimedOut),
		on(`you may not do this to the topic: somebody who may can allow it with "millrace acl add --principal User:NAME --topic TOPIC --operation …"`, kerr.TopicAuthorizationFailed),
		on(`you may not do this to the group: somebody who may can allow it with "millrace acl add --principal User:NAME --group GROUP --operation …"`, kerr.GroupAuthorizationFailed),
		on(`you may not do this to the transactional id: somebody who may can allow it with "millrace acl add --principal User:NAME --transactional-id ID --operation …"`, kerr.TransactionalIDAuthorizationFailed),
		on(`you may not do this to the cluster: be a super user, or have somebody allow it with "millrace acl add --principal User:NAME --cluster --operation …"`, kerr.ClusterAuthorizationFailed),
		on(`"millrace config describe KIND NAME --all" shows every config with its value`, kerr.InvalidConfig),
		on("there are not that many brokers", kerr.InvalidReplicationFactor),
		on(`"millrace cluster describe" shows the brokers that there are`, kerr.InvalidReplicaAssignment, kerr.BrokerIDNotRegistered),
		on("names have letters, digits, dots, underscores and hyphens, at most 249", kerr.InvalidTopicException),
		on(`wait, or raise the quota: "millrace quota list" shows it`, kerr.ThrottlingQuotaExceeded),
		on(`the disk is full or damaged: "millrace log dirs" shows what it holds, the log of the broker says what failed`, kerr.KafkaStorageError),
		on("the broker has no authorizer: set broker.authorizer.enabled", kerr.SecurityDisabled),
		on("the broker is too old for this, or does not offer it", kerr.UnsupportedVersion),
		on(`"millrace offsets TOPIC" shows the offsets that there are`, kerr.OffsetOutOfRange),
		on(`"millrace txn list" shows the ids that there are`, kerr.TransactionalIDNotFound),
		on(`"millrace cluster features" shows the levels that there are`, kerr.FeatureUpdateFailed, kerr.InvalidUpdateVersion),
		on("no reassignment of it goes on", kerr.NoReassignmentInProgress),
		on(`"millrace user list" shows the users that there are`, kerr.ResourceNotFound),
		on(`log in with SCRAM or PLAIN: --sasl-user, --sasl-password-file, --sasl-mechanism`, kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism),
	}
}
