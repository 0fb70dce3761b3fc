package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Credential is what a server keeps of a password for a SCRAM mechanism (RFC
// 5802, section 3). The slices must not be changed.
type Credential struct {
	// Mechanism is ScramSHA256 or ScramSHA512.
	Mechanism  string
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// NewCredential makes a credential of a password with a random salt.
func NewCredential(mechanism, password string, iterations int) (Credential, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	return NewCredentialWithSalt(mechanism, password, salt, iterations)
}

// NewCredentialWithSalt makes a credential of a password and a salt, which must
// be another one for each user.
func NewCredentialWithSalt(mechanism, password string, salt []byte, iterations int) (Credential, error) {
	h, ok := scramHash(mechanism)
	if !ok {
		return Credential{}, fmt.Errorf("%q is not a SCRAM mechanism", mechanism)
	}
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return Credential{}, fmt.Errorf("derive key: %w", err)
	}
	return FromSaltedPassword(mechanism, salted, salt, iterations)
}

// FromSaltedPassword makes a credential of what AlterUserScramCredentials carries.
func FromSaltedPassword(mechanism string, salted, salt []byte, iterations int) (Credential, error) {
	h, ok := scramHash(mechanism)
	if !ok {
		return Credential{}, fmt.Errorf("%q is not a SCRAM mechanism", mechanism)
	}
	return Credential{
		Mechanism: mechanism, Salt: salt, Iterations: iterations,
		StoredKey: sum(h, mac(h, salted, []byte("Client Key"))),
		ServerKey: mac(h, salted, []byte("Server Key")),
	}, nil
}

// Verify reports whether the credential was made of password. It takes as long
// as the iterations do.
func (c Credential) Verify(password string) bool {
	h, ok := scramHash(c.Mechanism)
	if !ok {
		return false
	}
	salted, err := pbkdf2.Key(h, password, c.Salt, c.Iterations, h().Size())
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(sum(h, mac(h, salted, []byte("Client Key"))), c.StoredKey) == 1
}

// Hash returns the credential as text, in the form that PostgreSQL gives to its
// SCRAM secrets: "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey".
func (c Credential) Hash() string {
	b := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", c.Mechanism, c.Iterations, b(c.Salt), b(c.StoredKey), b(c.ServerKey))
}

var errHash = errors.New("a password hash has the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")

// ParseHash reads what [Credential.Hash] writes.
func ParseHash(text string) (Credential, error) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 || strings.Count(text, "$") != 2 || strings.Count(text, ":") != 2 {
		return Credential{}, errHash
	}
	c := Credential{Mechanism: parts[0]}
	h, ok := scramHash(c.Mechanism)
	if !ok {
		return Credential{}, fmt.Errorf("%w: %q is not a SCRAM mechanism", errHash, c.Mechanism)
	}
	var err error
	if c.Iterations, err = strconv.Atoi(parts[1]); err != nil {
		return Credential{}, fmt.Errorf("%w: %w", errHash, err)
	}
	for i, target := range []*[]byte{&c.Salt, &c.StoredKey, &c.ServerKey} {
		if *target, err = base64.StdEncoding.DecodeString(parts[2+i]); err != nil {
			return Credential{}, fmt.Errorf("%w: %w", errHash, err)
		}
	}
	return c, c.check(h().Size())
}

func (c Credential) check(keyBytes int) error {
	switch {
	case c.Iterations < IterationsMin || c.Iterations > IterationsMax:
		return fmt.Errorf("%w: %d iterations are not between %d and %d", errHash, c.Iterations, IterationsMin, IterationsMax)
	case len(c.Salt) == 0 || len(c.StoredKey) != keyBytes || len(c.ServerKey) != keyBytes:
		return fmt.Errorf("%w: a key or the salt has a wrong length", errHash)
	}
	return nil
}

func mac(h func() hash.Hash, key, message []byte) []byte {
	m := hmac.New(h, key)
	m.Write(message)
	return m.Sum(nil)
}

func sum(h func() hash.Hash, b []byte) []byte {
	s := h()
	s.Write(b)
	return s.Sum(nil)
}
