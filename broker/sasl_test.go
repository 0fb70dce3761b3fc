package broker

import (
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	kgosasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/authority"
)

// secureConfig has one listener of each kind, with the users alice and bob.
func secureConfig(t testing.TB, a *authority.Authority) configs.Broker {
	t.Helper()
	cert, key := a.Issue(t.TempDir(), pkix.Name{CommonName: "broker"})
	server := configs.ListenerTLS{CertFile: cert, KeyFile: key, ClientAuth: "none", MinVersion: "1.2"}
	mutual := server
	mutual.ClientAuth, mutual.ClientCAFile = "required", a.File
	mechanisms := configs.ListenerSASL{Mechanisms: configs.SASLMechanisms()}
	cfg := testConfig()
	cfg.Listeners = []configs.Listener{
		{Name: "PLAINTEXT", Listen: "127.0.0.1:0"},
		{Name: "SSL", Listen: "127.0.0.1:0", TLS: server},
		{Name: "MUTUAL", Listen: "127.0.0.1:0", TLS: mutual},
		{Name: "SASL_PLAINTEXT", Listen: "127.0.0.1:0", SASL: mechanisms},
		{Name: "SASL_SSL", Listen: "127.0.0.1:0", TLS: server, SASL: mechanisms},
	}
	cfg.Users = []configs.User{{Name: "alice", Password: "alice's"}, {Name: "bob", Password: "bob's"}}
	return cfg
}

// clientOn makes a client for a listener.
func clientOn(t testing.TB, n *testNode, listener string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	addr, ok := n.ListenerAddr(listener)
	if !ok {
		t.Fatalf("no listener %s", listener)
	}
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func mechanismOf(name, user, password string) kgosasl.Mechanism {
	switch name {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	default:
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	}
}

func TestClientsGetInByEachKindOfListener(t *testing.T) {
	a := authority.New(t, "test")
	n := startNode(t, t.TempDir(), secureConfig(t, a))
	createTopicAt := func(name string, opts ...kgo.Opt) error {
		c := clientOn(t, n, name, append(opts, kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation(), kgo.RetryTimeout(time.Minute), kgo.RecordDeliveryTimeout(time.Minute))...)
		return c.ProduceSync(t.Context(), kgo.StringRecord(name)).FirstErr()
	}
	cert, key := a.Issue(t.TempDir(), pkix.Name{CommonName: "client"})
	with := kgo.DialTLSConfig(a.Client("", ""))
	for name, opts := range map[string][]kgo.Opt{
		"PLAINTEXT": nil,
		"SSL":       {with},
		"MUTUAL":    {kgo.DialTLSConfig(a.Client(cert, key))},
	} {
		if err := createTopicAt(name, opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range configs.SASLMechanisms() {
		if err := createTopicAt("SASL_PLAINTEXT", kgo.SASL(mechanismOf(m, "alice", "alice's"))); err != nil {
			t.Errorf("SASL_PLAINTEXT %s: %v", m, err)
		}
		if err := createTopicAt("SASL_SSL", with, kgo.SASL(mechanismOf(m, "bob", "bob's"))); err != nil {
			t.Errorf("SASL_SSL %s: %v", m, err)
		}
		for user, password := range map[string]string{"alice": "bob's", "nobody": "x"} {
			c := clientOn(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf(m, user, password)), kgo.RequestRetries(0))
			if err := c.Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("%s as %s: %v, want SASL_AUTHENTICATION_FAILED", m, user, err)
			}
		}
	}
	if err := clientOn(t, n, "MUTUAL", with, kgo.RequestRetries(0)).Ping(t.Context()); err == nil {
		t.Error("a client without certificate got in")
	}
}

func TestCredentialsOfScramUsers(t *testing.T) {
	a := authority.New(t, "test")
	dir, cfg := t.TempDir(), secureConfig(t, a)
	n := startNode(t, dir, cfg)
	admin := kadm.NewClient(clientOn(t, n, "PLAINTEXT"))
	alter := func(del []kadm.DeleteSCRAM, upsert []kadm.UpsertSCRAM) kadm.AlteredUserSCRAMs {
		t.Helper()
		out, err := admin.AlterUserSCRAMs(t.Context(), del, upsert)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := alter(nil, []kadm.UpsertSCRAM{
		{User: "carol", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "first"},
		{User: "twice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "x"},
		{User: "twice", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "x"},
	})
	for user, want := range map[string]error{
		"carol": nil, "twice": kerr.DuplicateResource,
	} {
		if got := out[user].Err; !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", user, got, want)
		}
	}
	in := func(user, password string) error {
		return clientOn(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf("SCRAM-SHA-256", user, password)), kgo.RequestRetries(0)).Ping(t.Context())
	}
	if err := in("carol", "first"); err != nil {
		t.Errorf("new user: %v", err)
	}
	if err := in("twice", "x"); err == nil {
		t.Error("a user who was refused got in")
	}
	alter(nil, []kadm.UpsertSCRAM{{User: "carol", Mechanism: kadm.ScramSha256, Iterations: 8192, Password: "second"}})
	if err := in("carol", "first"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("old password: %v", err)
	}
	n.stop()
	cfg.Users[0].Password = "changed in the file only"
	n = startNode(t, dir, cfg)
	admin = kadm.NewClient(clientOn(t, n, "PLAINTEXT"))
	if err := in("carol", "second"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := in("alice", "alice's"); err != nil {
		t.Errorf("a user of the configuration, whose credential is there already: %v", err)
	}
	described, err := admin.DescribeUserSCRAMs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := described["carol"]; len(described) != 3 || len(c.CredInfos) != 1 || c.CredInfos[0].Iterations != 8192 || len(described["alice"].CredInfos) != 2 {
		t.Errorf("described %+v", described)
	}
	out = alter([]kadm.DeleteSCRAM{{User: "carol", Mechanism: kadm.ScramSha256}, {User: "nobody", Mechanism: kadm.ScramSha512}}, nil)
	if out["carol"].Err != nil || !errors.Is(out["nobody"].Err, kerr.ResourceNotFound) {
		t.Errorf("deleted %+v", out)
	}
	if err := in("carol", "second"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("deleted user: %v", err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "metadata", "*")); err != nil || len(files) == 0 {
		t.Fatal(files, err)
	} else {
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"alice's", "bob's", "second"} {
				if strings.Contains(string(content), secret) {
					t.Errorf("%s holds a password", f)
				}
			}
		}
	}
}

func TestPlainUsersWithHashes(t *testing.T) {
	credential, err := sasl.NewCredential(sasl.ScramSHA256, "eve's", sasl.IterationsMin)
	if err != nil {
		t.Fatal(err)
	}
	cfg := secureConfig(t, authority.New(t, "test"))
	cfg.Users = append(cfg.Users, configs.User{Name: "eve", PasswordHash: credential.Hash()})
	cfg.Listeners[4].SASL.Users = []configs.User{{Name: "mallory", Password: "mallory's"}}
	n := startNode(t, t.TempDir(), cfg)
	for _, test := range []struct {
		mechanism, user, password string
		in                        bool
	}{
		{"PLAIN", "eve", "eve's", true},
		{"PLAIN", "eve", "Eve's", false},
		{"PLAIN", "eve", credential.Hash(), false},
		{"PLAIN", "alice", "alice's", true},
		{"PLAIN", "nobody", "eve's", false},
		{"PLAIN", "mallory", "mallory's", false},
		{"SCRAM-SHA-256", "eve", "eve's", true},
		{"SCRAM-SHA-512", "eve", "eve's", false},
	} {
		c := clientOn(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf(test.mechanism, test.user, test.password)), kgo.RequestRetries(0))
		if err := c.Ping(t.Context()); (err == nil) != test.in {
			t.Errorf("%s as %s with %.10s: %v", test.mechanism, test.user, test.password, err)
		}
	}
	own := dialListener(t, n, "SASL_PLAINTEXT")
	if resp := own.login("mallory", "mallory's"); resp.ErrorCode == 0 {
		t.Error("a user of another listener got in")
	}
	cfg.Users[2].PasswordHash = "secret"
	if _, err := New(cfg, Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "password_hash") {
		t.Errorf("a hash that is none: %v", err)
	}
}

// FuzzSASLConnection sends bytes to a listener with SASL, after a handshake of a
// version or without one: the connection ends, and nothing stays reserved.
func FuzzSASLConnection(f *testing.F) {
	cfg := secureConfig(f, authority.New(f, "test"))
	cfg.Listeners = cfg.Listeners[3:4]
	n := startNode(f, f.TempDir(), cfg)
	addr, _ := n.ListenerAddr("SASL_PLAINTEXT")
	token := tokenRequest("\x00alice\x00alice's")
	f.Add(byte(1), frameOf(2, 1, token))
	f.Add(byte(0), []byte("\x00\x00\x00\x0e\x00alice\x00alice's"))
	f.Add(byte(2), frameOf(1, 1, handshakeRequest("SCRAM-SHA-256")))
	f.Fuzz(func(t *testing.T, version byte, input []byte) {
		c := dialRaw(t, addr)
		defer c.Close()
		if version < 2 {
			ask[*kmsg.SASLHandshakeResponse](c, int16(version), handshakeRequest("PLAIN"))
		}
		if _, err := c.Write(input); err != nil {
			return // closed already
		}
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Fatal("the connection does not end")
			}
		}
	})
}
