package sasl

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func testPolicy(t testing.TB, sessionMax time.Duration) *Policy {
	alice := newCredential(t, ScramSHA256, "alice's")
	return &Policy{
		Mechanisms: []string{Plain, ScramSHA256}, SessionMax: sessionMax,
		VerifyPlain: func(user, password string) bool {
			return user == "alice" && password == "alice's" || user == "bob" && password == "bob's"
		},
		Credential: func(_, user string) (Credential, bool) { return alice, user == "alice" },
		Decoy:      NewDecoy(),
	}
}

const (
	keyMetadata = 3
	plainAlice  = "\x00alice\x00alice's"
	plainBob    = "\x00bob\x00bob's"
)

func TestWhatMayComeBeforeAuthentication(t *testing.T) {
	now := time.Unix(1000, 0)
	tests := []struct {
		name    string
		prepare func(*Session)
		allowed []int16
	}{
		{"at the start", func(*Session) {}, []int16{keySaslHandshake, keyApiVersions}},
		{"after versions", func(s *Session) { s.VersionsAnswered() }, []int16{keySaslHandshake}},
		{"after a handshake", func(s *Session) { _ = s.Handshake(1, Plain, now) }, []int16{keySaslAuthenticate}},
		{"after an unknown mechanism", func(s *Session) { _ = s.Handshake(1, "GSSAPI", now) }, nil},
		{"after a wrong password", func(s *Session) {
			_ = s.Handshake(1, Plain, now)
			_, _ = s.Authenticate([]byte("\x00alice\x00x"), now)
		}, nil},
		{"when authenticated", func(s *Session) {
			_ = s.Handshake(1, Plain, now)
			_, _ = s.Authenticate([]byte(plainAlice), now)
		}, []int16{keyMetadata, keySaslHandshake, keyApiVersions, keySaslAuthenticate}},
	}
	for _, test := range tests {
		s := testPolicy(t, 0).NewSession()
		test.prepare(s)
		for _, key := range []int16{keyMetadata, keySaslHandshake, keyApiVersions, keySaslAuthenticate} {
			if err := s.Admit(key, now); (err == nil) != slices.Contains(test.allowed, key) {
				t.Errorf("%s: API key %d: %v", test.name, key, err)
			}
		}
	}
}

func TestASession(t *testing.T) {
	now := time.Unix(1000, 0)
	s := testPolicy(t, time.Minute).NewSession()
	if _, err := s.Authenticate([]byte(plainAlice), now); !errors.Is(err, ErrAlready) {
		t.Fatalf("token without handshake: %v", err)
	}
	if err := s.Handshake(1, Plain, now); err != nil {
		t.Fatal(err)
	}
	if s.Principal() != "" || s.Authenticated() {
		t.Fatal("known before the token")
	}
	r, err := s.Authenticate([]byte(plainAlice), now)
	if err != nil || !r.Done || r.Lifetime != time.Minute || r.Token == nil || s.Principal() != "User:alice" {
		t.Fatalf("%+v, %v, %q", r, err, s.Principal())
	}
	if err := s.Admit(keyMetadata, now.Add(time.Minute)); err != nil {
		t.Errorf("within the session: %v", err)
	}
	late := now.Add(time.Minute + 1)
	if err := s.Admit(keyMetadata, late); !errors.Is(err, ErrExpired) {
		t.Errorf("after the session: %v", err)
	}
	if err := s.Admit(keySaslHandshake, late); err != nil {
		t.Errorf("authenticating again after the session: %v", err)
	}
	if err := s.Handshake(1, Plain, late); err != nil {
		t.Fatal(err)
	}
	if err := s.Admit(keyMetadata, late); !errors.Is(err, ErrState) {
		t.Errorf("while authenticating again: %v", err)
	}
	if r, err = s.Authenticate([]byte(plainAlice), late); err != nil || !r.Done {
		t.Fatal(err)
	}
	if err := s.Admit(keyMetadata, late.Add(time.Minute)); err != nil {
		t.Errorf("in the new session: %v", err)
	}
	if err := s.Handshake(1, Plain, late.Add(time.Second-1)); !errors.Is(err, ErrAlready) {
		t.Errorf("again within a second: %v", err)
	}
	if err := s.Admit(keyMetadata, late.Add(time.Second)); err != nil {
		t.Errorf("after a handshake that was refused: %v", err)
	}
}

func TestWhoIsInCannotBecomeSomebodyElse(t *testing.T) {
	now := time.Unix(1000, 0)
	again := now.Add(2 * time.Second)
	for message, change := range map[string]struct{ mechanism, token string }{
		"Cannot change principals during re-authentication from User.alice: User.bob":                                    {Plain, plainBob},
		"SASL mechanism 'SCRAM-SHA-256' requested by client is not supported for re-authentication of mechanism 'PLAIN'": {ScramSHA256, "n,,n=alice,r=x"},
		"Authentication failed: Invalid username or password":                                                            {Plain, "\x00alice\x00wrong"},
	} {
		s := testPolicy(t, time.Minute).NewSession()
		if err := s.Handshake(1, Plain, now); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate([]byte(plainAlice), now); err != nil {
			t.Fatal(err)
		}
		if err := s.Handshake(1, change.mechanism, again); err != nil {
			t.Fatal(err)
		}
		_, err := s.Authenticate([]byte(change.token), again)
		failure, ok := errors.AsType[*Failure](err)
		if !ok || failure.Message != message {
			t.Errorf("%v, want %q", err, message)
		}
		if s.Principal() != "User:alice" || s.Admit(keyMetadata, again) == nil {
			t.Errorf("after a failure: %s", s.Principal())
		}
	}
}

func TestWithoutAnEndSessionsAreNotRenewed(t *testing.T) {
	now := time.Unix(1000, 0)
	s := testPolicy(t, 0).NewSession()
	_ = s.Handshake(0, Plain, now)
	if !s.AwaitsRawToken() {
		t.Error("tokens do not come raw after version 0")
	}
	r, err := s.Authenticate([]byte(plainAlice), now)
	if err != nil || r.Lifetime != 0 || s.AwaitsRawToken() {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := s.Handshake(1, Plain, now.Add(time.Hour)); !errors.Is(err, ErrAlready) {
		t.Errorf("handshake: %v", err)
	}
	if _, err := s.Authenticate(nil, now); !errors.Is(err, ErrAlready) {
		t.Errorf("token: %v", err)
	}
	if err := s.Admit(keyMetadata, now.Add(1000*time.Hour)); err != nil {
		t.Errorf("much later: %v", err)
	}
}

func TestPlainSaysWhatKafkaSays(t *testing.T) {
	for token, want := range map[string]string{
		"":                          "Invalid SASL/PLAIN response: expected 3 tokens, got 1",
		"a\x00b":                    "Invalid SASL/PLAIN response: expected 3 tokens, got 2",
		"a\x00b\x00c\x00d":          "Invalid SASL/PLAIN response: expected 3 tokens, got 4",
		"a\x00b\x00c\x00d\x00e":     "Invalid SASL/PLAIN response: expected 3 tokens, got 4",
		"\x00\x00p":                 "Authentication failed: username not specified",
		"\x00alice\x00":             "Authentication failed: password not specified",
		"\x00alice\x00bob's":        "Authentication failed: Invalid username or password",
		"\x00nobody\x00alice's":     "Authentication failed: Invalid username or password",
		"root\x00alice\x00alice's":  "Authentication failed: Client requested an authorization id that is different from username",
		"alice\x00alice\x00alice's": "",
		"\x00alice\x00alice's":      "",
	} {
		s := testPolicy(t, 0).NewSession()
		if err := s.Handshake(1, Plain, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err := s.Authenticate([]byte(token), time.Now())
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", token, got, want)
		}
	}
}

// FuzzSession sends requests in any order with any tokens. Nobody gets in without
// a password, nothing may come that the state does not allow, and nothing panics.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1, 2}, []byte(plainAlice), []byte("n,,n=alice,r=x"))
	f.Add([]byte{1, 4, 4, 3}, []byte("n,,n=alice,r=x"), []byte("c=biws,r=x,p=AAAA"))
	f.Add([]byte{5, 4, 4}, []byte("y,a=alice,n=alice,r=x,ext=1"), []byte("c=eSw=,r=x,p=AAAA"))
	policy := testPolicy(f, time.Second)
	policy.VerifyPlain = func(user, password string) bool { return user == "alice" && password == plainAlice[7:] }
	f.Fuzz(func(t *testing.T, steps, one, two []byte) {
		s, now, knows := policy.NewSession(), time.Unix(1000, 0), false
		token := func(b []byte) {
			if err := s.Admit(keySaslAuthenticate, now); err != nil && !s.AwaitsRawToken() {
				return
			}
			r, err := s.Authenticate(b, now)
			if err != nil && r.Done {
				t.Fatalf("in with %v", err)
			}
			knows = knows || r.Done && s.Mechanism() == Plain && string(b) == plainAlice || string(b) == "alice"+plainAlice
		}
		for _, step := range steps[:min(len(steps), 20)] {
			switch step % 7 {
			case 0:
				if s.Admit(keyApiVersions, now) == nil {
					s.VersionsAnswered()
				}
			case 1, 2, 3:
				if s.Admit(keySaslHandshake, now) == nil {
					_ = s.Handshake(int16(step/7%2), []string{Plain, ScramSHA256, string(one)}[step%3], now)
				}
			case 4:
				token(one)
			case 5:
				token(two)
			case 6:
				now = now.Add(700 * time.Millisecond)
			}
			if s.Authenticated() && !knows {
				t.Fatalf("user %q got in without a password", s.User())
			}
			if s.Admit(keyMetadata, now) == nil && !s.Authenticated() {
				t.Fatal("an unknown client may do everything")
			}
		}
	})
}
