package sasl

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"time"
)

// Policy is what the connections of a listener have in common. It must not be
// changed.
type Policy struct {
	// Mechanisms that clients may use.
	Mechanisms []string
	// SessionMax is how long a client may go on without authenticating again; 0
	// has no limit (connections.max.reauth.ms).
	SessionMax time.Duration
	// VerifyPlain reports whether a password is the user's.
	VerifyPlain func(user, password string) bool
	// Credential returns a user's credential for a SCRAM mechanism.
	Credential func(mechanism, user string) (c Credential, ok bool)
	// Decoy makes up credentials for users who have none.
	Decoy *Decoy
}

func (p *Policy) offers(mechanism string) bool { return slices.Contains(p.Mechanisms, mechanism) }

func (p *Policy) begin(mechanism string) Mechanism {
	if !IsScram(mechanism) {
		return &plain{verify: p.VerifyPlain}
	}
	return newScram(mechanism, func(user string) Credential {
		if c, ok := p.Credential(mechanism, user); ok {
			return c
		}
		return p.Decoy.credential(mechanism, user)
	})
}

// Decoy makes up credentials, so that a client cannot find out which users there
// are: a name always gets the same salt, and a key that no password has.
type Decoy struct{ key [32]byte }

// NewDecoy returns a source of credentials with a random key.
func NewDecoy() *Decoy {
	d := &Decoy{}
	rand.Read(d.key[:]) // never fails
	return d
}

func (d *Decoy) credential(mechanism, user string) Credential {
	h, _ := scramHash(mechanism)
	salt := mac(sha256.New, d.key[:], []byte(mechanism+"\x00"+user))
	keys := make([]byte, 2*h().Size())
	rand.Read(keys)
	half := len(keys) / 2
	return Credential{
		Mechanism: mechanism, Salt: salt[:saltBytes], Iterations: IterationsMin,
		StoredKey: keys[:half], ServerKey: keys[half:],
	}
}
