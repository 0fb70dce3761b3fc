package sasl

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Names of the mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// Mechanism is one authentication, from its first token to its end.
type Mechanism interface {
	// Next takes a token of the client and returns the answer to it. With done
	// the client has authenticated as User. After an error or the end it must
	// not be called again.
	Next(token []byte) (answer []byte, done bool, err error)
	// User returns the name that the client claims, which is proven only once
	// Next has returned done.
	User() string
}

// Failure is why an authentication failed. What is wrapped is for logs only.
type Failure struct {
	// Message is what the client may know.
	Message string
	// Cause is empty where the message says all.
	Cause error
}

// Error returns the message and the cause.
func (f *Failure) Error() string {
	if f.Cause == nil {
		return f.Message
	}
	return fmt.Sprintf("%s: %v", f.Message, f.Cause)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Causes of failures.
var (
	errBadProof  = errors.New("the password or user name is wrong")
	errBadToken  = errors.New("the token is not of the mechanism's form")
	errChannel   = errors.New("channel binding is not supported")
	errBadNonce  = errors.New("the client sent another nonce")
	errCompleted = errors.New("a token after the end of the exchange")
)

// scramHash returns the hash of a SCRAM mechanism; ok is false for another one.
func scramHash(mechanism string) (h func() hash.Hash, ok bool) {
	switch mechanism {
	case ScramSHA256:
		return sha256.New, true
	case ScramSHA512:
		return sha512.New, true
	}
	return nil, false
}

// IsScram reports whether a mechanism is one of SCRAM's.
func IsScram(mechanism string) bool { return strings.HasPrefix(mechanism, "SCRAM-") }
