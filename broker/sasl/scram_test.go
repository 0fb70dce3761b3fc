package sasl

import (
	"crypto/pbkdf2"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	xdg "github.com/xdg-go/scram"
)

func newCredential(t testing.TB, mechanism, password string) Credential {
	t.Helper()
	c, err := NewCredential(mechanism, password, IterationsMin)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheExchangeOfRFC7677 replays the example of RFC 7677, section 3.
func TestTheExchangeOfRFC7677(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := scramHash(ScramSHA256)
	salted, err := pbkdf2.Key(h, "pencil", salt, 4096, h().Size())
	if err != nil {
		t.Fatal(err)
	}
	c, err := FromSaltedPassword(ScramSHA256, salted, salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	s := newScram(ScramSHA256, func(string) Credential { return c })
	s.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	first, done, err := s.Next([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	if want := "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"; err != nil || done || string(first) != want {
		t.Fatalf("first: %s, %v, %v", first, done, err)
	}
	final, done, err := s.Next([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if want := "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; err != nil || !done || string(final) != want || s.User() != "user" {
		t.Fatalf("final: %s, %v, %v", final, done, err)
	}
	if _, _, err := s.Next(nil); !errors.Is(err, errCompleted) {
		t.Errorf("after the end: %v", err)
	}
}

// converse runs another library's client against the server. change may alter
// what the client sends.
func converse(s *scram, user, password, authorizationID string, change func(string) string) (proven bool, err error) {
	hash := xdg.SHA256
	if s.mechanism == ScramSHA512 {
		hash = xdg.SHA512
	}
	client, err := hash.NewClientUnprepped(user, password, authorizationID)
	if err != nil {
		return false, err
	}
	conversation := client.NewConversation()
	message, err := conversation.Step("")
	for err == nil {
		answer, done, refused := s.Next([]byte(change(message)))
		if refused != nil {
			return false, refused
		}
		if message, err = conversation.Step(string(answer)); done {
			return conversation.Valid(), err
		}
	}
	return false, err
}

func asItIs(s string) string { return s }

func TestOtherClientsProveThemselves(t *testing.T) {
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		for _, user := range []string{"alice", "a,b=c", "ünïcode", "with space"} {
			c := newCredential(t, mechanism, "sécret,=\u00a0x")
			lookup := func(name string) Credential {
				if name == user {
					return c
				}
				return NewDecoy().credential(mechanism, name)
			}
			if ok, err := converse(newScram(mechanism, lookup), user, "sécret,=\u00a0x", "", asItIs); !ok || err != nil {
				t.Errorf("%s %q: %v, %v", mechanism, user, ok, err)
			}
			if _, err := converse(newScram(mechanism, lookup), user, "wrong", "", asItIs); !errors.Is(err, errBadProof) {
				t.Errorf("%s %q with a wrong password: %v", mechanism, user, err)
			}
			if _, err := converse(newScram(mechanism, lookup), user+"x", "sécret,=\u00a0x", "", asItIs); !errors.Is(err, errBadProof) {
				t.Errorf("%s, a user who is not there: %v", mechanism, err)
			}
			if ok, err := converse(newScram(mechanism, lookup), user, "sécret,=\u00a0x", user, asItIs); !ok || err != nil {
				t.Errorf("%s %q for itself: %v, %v", mechanism, user, ok, err)
			}
			var failure *Failure
			if _, err := converse(newScram(mechanism, lookup), user, "sécret,=\u00a0x", "root", asItIs); !errors.As(err, &failure) {
				t.Errorf("%s %q for another: %v", mechanism, user, err)
			}
		}
	}
}

// TestTheServersNonceMustComeBack: whatever stands before it, as old librdkafka
// sends its own part twice; the proof then covers that.
func TestTheServersNonceMustComeBack(t *testing.T) {
	c := newCredential(t, ScramSHA256, "p")
	for want, change := range map[error]func(string) string{
		errBadNonce: func(m string) string {
			if before, _, ok := strings.Cut(m, ",p="); ok {
				return before[:len(before)-1] + "_" + m[len(before):]
			}
			return m
		},
		// The proof of this client does not cover the longer nonce.
		errBadProof: func(m string) string { return strings.Replace(m, "c=biws,r=", "c=biws,r=again", 1) },
	} {
		if _, err := converse(newScram(ScramSHA256, func(string) Credential { return c }), "u", "p", "", change); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

func TestMessagesThatAreNotOfTheForm(t *testing.T) {
	c := newCredential(t, ScramSHA256, "p")
	for _, message := range []string{
		"", ",,,", "n,,n=user", "n,,n=user,r=", "n,,n=,r=x", "n,,u=user,r=x", "n,,n=us=er,r=x", "n,,n=us=2Cer", "n,,n=a,m=x,r=x",
		"p=tls-unique,,n=user,r=x", "x,,n=user,r=x", "n,b=x,n=user,r=x", "n,,n=user,r=with space", "n,,n=us\x00er,r=x",
		"n,,n=user,r=" + strings.Repeat("x", messageBytesMax),
	} {
		s := newScram(ScramSHA256, func(string) Credential { return c })
		if answer, _, err := s.Next([]byte(message)); err == nil {
			t.Errorf("%.40q is answered with %q", message, answer)
		}
		if _, _, err := s.Next([]byte("n,,n=user,r=x")); !errors.Is(err, errCompleted) {
			t.Errorf("after %.40q: %v", message, err)
		}
	}
	for _, message := range []string{
		"", "c=biws", "c=biws,r=NONCE", "c=biws,r=NONCE,p=", "c=biws,r=NONCE,p=!", "c=biws,r=NONCE,p=AAAA", "c=,r=NONCE,p=AAAA",
		"c=eSws,r=NONCE,p=AAAA", "r=NONCE,c=biws,p=AAAA", "c=biws,p=AAAA",
	} {
		s := newScram(ScramSHA256, func(string) Credential { return c })
		if _, _, err := s.Next([]byte("n,,n=user,r=x")); err != nil {
			t.Fatal(err)
		}
		if answer, done, err := s.Next([]byte(strings.ReplaceAll(message, "NONCE", s.serverNonce))); err == nil || done {
			t.Errorf("%q is answered with %q", message, answer)
		}
	}
}

func TestHashesAreReadAsTheyAreWritten(t *testing.T) {
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		c := newCredential(t, mechanism, "secret")
		back, err := ParseHash(c.Hash())
		if err != nil || back.Hash() != c.Hash() {
			t.Fatalf("%s: %v", c.Hash(), err)
		}
		if !back.Verify("secret") || back.Verify("Secret") || back.Verify("") {
			t.Errorf("%s does not tell passwords apart", mechanism)
		}
		for _, broken := range []string{
			"", "secret", strings.Replace(c.Hash(), "4096", "1", 1), strings.Replace(c.Hash(), "4096", "99999", 1), strings.Replace(c.Hash(), "SHA", "MD", 1),
			c.Hash() + "$x", c.Hash()[:len(c.Hash())-4], strings.Replace(c.Hash(), ":", "$", 1),
		} {
			if _, err := ParseHash(broken); err == nil {
				t.Errorf("%q is taken", broken)
			}
		}
	}
}

func TestADecoyLooksLikeAUser(t *testing.T) {
	d := NewDecoy()
	a, b := d.credential(ScramSHA512, "a"), d.credential(ScramSHA512, "b")
	if string(a.Salt) != string(d.credential(ScramSHA512, "a").Salt) {
		t.Error("a name gets another salt each time")
	}
	if string(a.Salt) == string(b.Salt) || string(a.Salt) == string(d.credential(ScramSHA256, "a").Salt) {
		t.Error("two names have the same salt")
	}
	if real := newCredential(t, ScramSHA512, "x"); len(real.Salt) != len(a.Salt) || len(real.StoredKey) != len(a.StoredKey) || real.Iterations != a.Iterations {
		t.Error("a decoy can be told from a user")
	}
}
