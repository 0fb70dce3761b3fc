package metadata

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// ScramCredential is what the cluster keeps of a user's password for a SCRAM
// mechanism. The password cannot be had from it. It must not be changed.
type ScramCredential struct {
	User string `json:"user"`
	// Mechanism is SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism  string `json:"mechanism"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

// UserScramRecord sets a user's credential for a mechanism (KIP-554).
type UserScramRecord struct {
	ScramCredential
}

// UserScramRemovedRecord removes a user's credential for a mechanism.
type UserScramRemovedRecord struct {
	User      string `json:"user"`
	Mechanism string `json:"mechanism"`
}

func (*UserScramRecord) recordType() string        { return "user_scram" }
func (*UserScramRemovedRecord) recordType() string { return "user_scram_removed" }

type scramKey struct{ user, mechanism string }

// ScramCredential returns a user's credential for a mechanism, nil when there is none.
func (i *Image) ScramCredential(user, mechanism string) *ScramCredential {
	return i.scram[scramKey{user, mechanism}]
}

// ScramCredentials returns all credentials in the order of users and mechanisms.
func (i *Image) ScramCredentials() []*ScramCredential {
	return slices.SortedFunc(maps.Values(i.scram), func(a, b *ScramCredential) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Mechanism, b.Mechanism))
	})
}

func (r *UserScramRecord) apply(i *Image) error {
	if r.User == "" || r.Mechanism == "" {
		return fmt.Errorf("%w: credential without user or mechanism", errRecord)
	}
	c := r.ScramCredential
	i.scram[scramKey{c.User, c.Mechanism}] = &c
	return nil
}

func (r *UserScramRemovedRecord) apply(i *Image) error {
	key := scramKey{r.User, r.Mechanism}
	if i.scram[key] == nil {
		return fmt.Errorf("%w: removal of the unknown credential %s of user %q", errRecord, r.Mechanism, r.User)
	}
	delete(i.scram, key)
	return nil
}
