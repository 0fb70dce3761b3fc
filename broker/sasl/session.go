package sasl

import (
	"errors"
	"fmt"
	"time"
)

// API keys that a session has to know.
const (
	keySaslHandshake    = 17
	keyApiVersions      = 18
	keySaslAuthenticate = 36
)

// Errors of a session that close its connection.
var (
	// ErrState is a request that may not come now.
	ErrState = errors.New("request not allowed before authentication")
	// ErrExpired is a request after the session's end.
	ErrExpired = errors.New("session expired without authenticating again")
	// ErrAlready is a handshake or token of a client that has authenticated and may
	// not do so again now. It is answered with ILLEGAL_SASL_STATE.
	ErrAlready = errors.New("authenticated already")
	// ErrMechanism is a mechanism that the listener does not offer.
	ErrMechanism = errors.New("mechanism not offered")
)

type state int

const (
	stateInitial   state = iota // ApiVersions or SaslHandshake may come
	stateHandshake              // after ApiVersions: SaslHandshake must come
	stateToken                  // tokens until the mechanism ends
	stateComplete               // everything may come
	stateFailed                 // nothing may come
)

// Session is the authentication of one connection, and of its renewals.
//
// Invariant: Principal is empty until the first authentication has succeeded, and
// never changes after.
type Session struct {
	policy    *Policy
	state     state
	raw       bool // tokens come without a request's header
	name      string
	mechanism Mechanism
	badMech   string // the mechanism of a renewal that is not the first one's

	user          string
	since         string // mechanism of the first authentication
	expires       time.Time
	renewedAt     time.Time
	authenticated bool
}

// NewSession returns the state of a new connection.
func (p *Policy) NewSession() *Session { return &Session{policy: p} }

// Authenticated reports whether the client has said who it is. It stays so while
// it authenticates again.
func (s *Session) Authenticated() bool { return s.authenticated }

// Principal returns who the client is, in Kafka's form; empty before it is known.
func (s *Session) Principal() string {
	if !s.authenticated {
		return ""
	}
	return "User:" + s.user
}

// Mechanism returns the name of the mechanism that is or was used.
func (s *Session) Mechanism() string { return s.name }

// User returns the name that the client claims or has proven.
func (s *Session) User() string {
	if s.mechanism != nil {
		return s.mechanism.User()
	}
	return s.user
}

// AwaitsRawToken reports whether the next frame is a token without a request's
// header, as after SaslHandshake v0.
func (s *Session) AwaitsRawToken() bool { return s.state == stateToken && s.raw }

// Admit reports whether a request may come now; an error closes the connection.
// Before authentication these are ApiVersions once, SaslHandshake, and
// SaslAuthenticate.
func (s *Session) Admit(key int16, now time.Time) error {
	switch s.state {
	case stateInitial:
		if key == keyApiVersions || key == keySaslHandshake {
			return nil
		}
	case stateHandshake:
		if key == keySaslHandshake {
			return nil
		}
	case stateToken:
		if key == keySaslAuthenticate {
			return nil
		}
	case stateComplete:
		if key != keySaslHandshake && !s.expires.IsZero() && now.After(s.expires) {
			return fmt.Errorf("%w: user %q", ErrExpired, s.user)
		}
		return nil
	case stateFailed:
	}
	return fmt.Errorf("%w: API key %d", ErrState, key)
}

// VersionsAnswered says that ApiVersions was answered with the versions.
func (s *Session) VersionsAnswered() {
	if s.state == stateInitial {
		s.state = stateHandshake
	}
}

// Handshake begins an authentication with a mechanism. The errors are
// [ErrMechanism], after which the connection is closed, and [ErrAlready].
func (s *Session) Handshake(version int16, mechanism string, now time.Time) error {
	if s.authenticated && !s.mayRenew(now) {
		return ErrAlready
	}
	if !s.policy.offers(mechanism) {
		s.state = stateFailed
		return fmt.Errorf("%w: %q", ErrMechanism, mechanism)
	}
	if s.authenticated {
		s.renewedAt = now
		if mechanism != s.since {
			s.badMech = mechanism
		}
	}
	s.state, s.raw, s.name, s.mechanism = stateToken, version == 0, mechanism, s.policy.begin(mechanism)
	return nil
}

// mayRenew follows KIP-368: only sessions that end are renewed, and at most once a second.
func (s *Session) mayRenew(now time.Time) bool {
	return !s.expires.IsZero() && (s.renewedAt.IsZero() || now.Sub(s.renewedAt) >= reauthenticationInterval)
}

// Result of a token.
type Result struct {
	// Token is the answer; empty but not nil where the mechanism has none.
	Token []byte
	// Done says that the client has authenticated.
	Done bool
	// Lifetime is how long the session lasts; 0 has no end.
	Lifetime time.Duration
}

// Authenticate takes a token. The errors are [ErrAlready] and a [*Failure], after
// which the connection is closed.
func (s *Session) Authenticate(token []byte, now time.Time) (Result, error) {
	if s.state != stateToken {
		return Result{}, ErrAlready
	}
	if s.badMech != "" {
		return Result{}, s.fail(fmt.Sprintf("SASL mechanism '%s' requested by client is not supported for re-authentication of mechanism '%s'", s.badMech, s.since), nil)
	}
	answer, done, err := s.mechanism.Next(token)
	if err != nil {
		if failure, ok := errors.AsType[*Failure](err); ok {
			return Result{}, s.fail(failure.Message, failure.Cause)
		}
		return Result{}, s.fail(fmt.Sprintf("Authentication failed during %s due to invalid credentials with SASL mechanism %s", s.what(), s.name), err)
	}
	if !done {
		return Result{Token: answer}, nil
	}
	if user := s.mechanism.User(); s.authenticated && user != s.user {
		return Result{}, s.fail(fmt.Sprintf("Cannot change principals during re-authentication from User.%s: User.%s", s.user, user), nil)
	}
	return Result{Token: answer, Done: true, Lifetime: s.complete(now)}, nil
}

func (s *Session) what() string {
	if s.authenticated {
		return "re-authentication"
	}
	return "authentication"
}

func (s *Session) complete(now time.Time) time.Duration {
	s.state, s.raw, s.authenticated = stateComplete, false, true
	s.user, s.since, s.mechanism = s.mechanism.User(), s.name, nil
	if s.policy.SessionMax > 0 {
		s.expires = now.Add(s.policy.SessionMax)
	}
	return s.policy.SessionMax
}

func (s *Session) fail(message string, cause error) error {
	s.state = stateFailed
	return &Failure{Message: message, Cause: cause}
}

// Mechanisms returns what the listener offers. It must not be changed.
func (s *Session) Mechanisms() []string { return s.policy.Mechanisms }
