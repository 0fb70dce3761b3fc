package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	kgosasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/configs"
)

// authority makes certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	var der []byte
	der, a.key = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	})
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// sign signs a template, by itself where there is no authority yet.
func (a *authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// issue writes a certificate and its key into dir and returns their names.
func (a *authority) issue(dir string, subject pkix.Name) (certFile, keyFile string) {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	der, key := a.sign(&x509.Certificate{
		SerialNumber: serial, Subject: subject, DNSNames: []string{"localhost"}, IPAddresses: loopback(),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(20 * 24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(a.t, certFile, "CERTIFICATE", der)
	writePEM(a.t, keyFile, "PRIVATE KEY", raw)
	return certFile, keyFile
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clientTLS trusts the authority and shows a certificate when it has one.
func (a *authority) clientTLS(certFile, keyFile string) *tls.Config {
	a.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	c.RootCAs.AddCert(a.cert)
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// secureConfig has one listener of each kind, with the users alice and bob.
func secureConfig(t testing.TB, a *authority) configs.Broker {
	t.Helper()
	cert, key := a.issue(t.TempDir(), pkix.Name{CommonName: "broker"})
	server := configs.ListenerTLS{CertFile: cert, KeyFile: key, ClientAuth: "none", MinVersion: "1.2"}
	mutual := server
	mutual.ClientAuth, mutual.ClientCAFile = "required", a.file
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

// clientAt makes a client for a listener.
func clientAt(t testing.TB, n *testNode, listener string, opts ...kgo.Opt) *kgo.Client {
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
	a := newAuthority(t, "test")
	n := startNode(t, t.TempDir(), secureConfig(t, a))
	createTopicAt := func(name string, opts ...kgo.Opt) error {
		c := clientAt(t, n, name, append(opts, kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation(), kgo.RetryTimeout(10*time.Second), kgo.RecordDeliveryTimeout(10*time.Second))...)
		return c.ProduceSync(t.Context(), kgo.StringRecord(name)).FirstErr()
	}
	cert, key := a.issue(t.TempDir(), pkix.Name{CommonName: "client"})
	with := kgo.DialTLSConfig(a.clientTLS("", ""))
	for name, opts := range map[string][]kgo.Opt{
		"PLAINTEXT": nil,
		"SSL":       {with},
		"MUTUAL":    {kgo.DialTLSConfig(a.clientTLS(cert, key))},
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
			c := clientAt(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf(m, user, password)), kgo.RequestRetries(0))
			if err := c.Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("%s as %s: %v, want SASL_AUTHENTICATION_FAILED", m, user, err)
			}
		}
	}
	if err := clientAt(t, n, "MUTUAL", with, kgo.RequestRetries(0)).Ping(t.Context()); err == nil {
		t.Error("a client without certificate got in")
	}
}

func TestCredentialsOfScramUsers(t *testing.T) {
	a := newAuthority(t, "test")
	dir, cfg := t.TempDir(), secureConfig(t, a)
	n := startNode(t, dir, cfg)
	admin := kadm.NewClient(clientAt(t, n, "PLAINTEXT"))
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
		return clientAt(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf("SCRAM-SHA-256", user, password)), kgo.RequestRetries(0)).Ping(t.Context())
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
	admin = kadm.NewClient(clientAt(t, n, "PLAINTEXT"))
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

func loopback() []net.IP { return []net.IP{net.IPv4(127, 0, 0, 1)} }
