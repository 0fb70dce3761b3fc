package broker

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/configs"
)

// plainUsers are the users of PLAIN at a listener. It is immutable.
type plainUsers struct {
	byName map[string]plainUser
	// decoy is verified for names that are not there where others have
	// hashes, so that the time does not tell which there are.
	decoy *sasl.Credential
}

// plainUser has a password's sum, or a credential that was made of it.
type plainUser struct {
	sum        [sha256.Size]byte
	credential *sasl.Credential
}

func newPlainUsers(users []configs.User) (plainUsers, error) {
	out := plainUsers{byName: make(map[string]plainUser, len(users))}
	for _, u := range users {
		if u.Name == "" || (u.Password == "") == (u.PasswordHash == "") {
			return out, fmt.Errorf("user %q needs a name, and either a password or a password_hash", u.Name)
		}
		p := plainUser{sum: sha256.Sum256([]byte(u.Password))}
		if u.PasswordHash != "" {
			c, err := sasl.ParseHash(u.PasswordHash)
			if err != nil {
				return out, fmt.Errorf("user %q: password_hash: %w", u.Name, err)
			}
			p.credential, out.decoy = &c, &c
		}
		out.byName[u.Name] = p
	}
	return out, nil
}

// verify reports whether a password is the user's.
func (p plainUsers) verify(user, password string) bool {
	u, ok := p.byName[user]
	switch {
	case !ok && p.decoy != nil:
		p.decoy.Verify(password)
		return false
	case u.credential != nil:
		return u.credential.Verify(password)
	}
	sum := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(u.sum[:], sum[:]) == 1 && ok
}

func scramRecord(user string, c sasl.Credential) *metadata.UserScramRecord {
	return &metadata.UserScramRecord{ScramCredential: metadata.ScramCredential{
		User: user, Mechanism: c.Mechanism, Iterations: c.Iterations, Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey,
	}}
}

// scramCredential returns a user's credential as the metadata has it now.
func (n *Node) scramCredential(mechanism, user string) (sasl.Credential, bool) {
	c := n.meta.Image().ScramCredential(user, mechanism)
	if c == nil {
		return sasl.Credential{}, false
	}
	return sasl.Credential{Mechanism: c.Mechanism, Salt: c.Salt, Iterations: c.Iterations, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, true
}

// addInitialUsers gives the users of the configuration SCRAM credentials for the
// mechanisms that listeners offer, where they have none: so that there is somebody
// who can add the others. What clients have changed stays as it is.
func (n *Node) addInitialUsers() error {
	offered := map[string]bool{}
	for _, l := range n.cfg.AllListeners() {
		for _, m := range l.SASL.Mechanisms {
			offered[m] = sasl.IsScram(m)
		}
	}
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		var records []metadata.Record
		for _, u := range n.cfg.Users {
			credentials, err := initialCredentials(u, offered)
			if err != nil {
				return nil, fmt.Errorf("broker.users: %q: %w", u.Name, err)
			}
			for _, c := range credentials {
				if image.ScramCredential(u.Name, c.Mechanism) == nil {
					records = append(records, scramRecord(u.Name, c))
				}
			}
		}
		return records, nil
	})
	return err
}

func initialCredentials(u configs.User, offered map[string]bool) ([]sasl.Credential, error) {
	if u.PasswordHash != "" {
		c, err := sasl.ParseHash(u.PasswordHash)
		if err != nil || !offered[c.Mechanism] {
			return nil, err
		}
		return []sasl.Credential{c}, nil
	}
	var out []sasl.Credential
	for _, mechanism := range []string{sasl.ScramSHA256, sasl.ScramSHA512} {
		if !offered[mechanism] {
			continue
		}
		c, err := sasl.NewCredential(mechanism, u.Password, sasl.IterationsMin)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
