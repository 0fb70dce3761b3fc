package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/authority"
)

// shake makes a handshake and returns the name of the server's certificate.
func shake(t *testing.T, s *Source, client *tls.Config) (string, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	ended := make(chan error, 1)
	go func() {
		server := tls.Server(b, s.Config())
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("x"))
		}
		_ = b.Close()
		ended <- err
	}()
	c := tls.Client(a, client)
	err := c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1)) // in TLS 1.3 the server looks at the client's certificate last
	}
	if err != nil {
		_ = a.Close()
		<-ended
		return "", err
	}
	if err := <-ended; err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestChangedFilesAreTakenOver(t *testing.T) {
	ca, dir := authority.New(t, "ca"), t.TempDir()
	cert, key := ca.Issue(dir, pkix.Name{CommonName: "first"})
	now := time.Now()
	var log bytes.Buffer
	s, err := Open(Config{
		CertFile: cert, KeyFile: key, Listener: "L", Now: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when, want string) {
		t.Helper()
		if got, err := shake(t, s, ca.Client("", "")); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", when, got, err, want)
		}
	}
	expect("at first", "first")
	ca.Issue(dir, pkix.Name{CommonName: "second"})
	expect("within a second of the last look", "first")
	now = now.Add(2 * time.Second)
	expect("when the files have changed", "second")

	if err := os.WriteFile(cert, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(2 * time.Second)
		expect("with a broken file", "second")
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("%d lines about a broken file:\n%s", n, log.String())
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(2 * time.Second)
		expect("without a key", "second")
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 2 {
		t.Errorf("%d lines about a broken and a missing file:\n%s", n, log.String())
	}
	ca.Issue(dir, pkix.Name{CommonName: "third"})
	now = now.Add(2 * time.Second)
	expect("when the files are right again", "third")
}

func TestClientCertificates(t *testing.T) {
	ours, theirs := authority.New(t, "ours"), authority.New(t, "theirs")
	cert, key := ours.Issue(t.TempDir(), pkix.Name{CommonName: "server"})
	good, goodKey := ours.Issue(t.TempDir(), pkix.Name{CommonName: "good"})
	bad, badKey := theirs.Issue(t.TempDir(), pkix.Name{CommonName: "bad"})
	for _, test := range []struct {
		auth              string
		none, good, other bool
	}{{"none", true, true, true}, {"requested", true, true, false}, {"required", false, true, false}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			s, err := Open(Config{CertFile: cert, KeyFile: key, ClientCAFile: ours.File, ClientAuth: test.auth, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]bool{"": test.none, good: test.good, bad: test.other} {
				client := ours.Client(name, map[string]string{good: goodKey, bad: badKey}[name])
				client.MinVersion, client.MaxVersion = version, version
				if len(client.Certificates) > 0 { // also where the server does not name the authority
					client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client.Certificates[0], nil }
				}
				if _, err := shake(t, s, client); (err == nil) != want {
					t.Errorf("%s, TLS %x, certificate %q: %v", test.auth, version, name, err)
				}
			}
		}
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	ca := authority.New(t, "ca")
	cert, key := ca.Issue(t.TempDir(), pkix.Name{CommonName: "server"})
	for least, versions := range map[string]map[uint16]bool{
		"1.2": {tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true},
		"1.3": {tls.VersionTLS12: false, tls.VersionTLS13: true},
	} {
		s, err := Open(Config{CertFile: cert, KeyFile: key, MinVersion: least, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for version, want := range versions {
			client := ca.Client("", "")
			client.MinVersion, client.MaxVersion = version, version
			if _, err := shake(t, s, client); (err == nil) != want {
				t.Errorf("at least %s, client with %x: %v", least, version, err)
			}
		}
	}
}

func TestFilesThatCannotBeUsedAtTheStart(t *testing.T) {
	ca, dir := authority.New(t, "ca"), t.TempDir()
	cert, key := ca.Issue(dir, pkix.Name{CommonName: "server"})
	_, other := ca.Issue(t.TempDir(), pkix.Name{CommonName: "other"})
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, cfg := range map[string]Config{
		"no certificate":      {CertFile: filepath.Join(dir, "none"), KeyFile: key},
		"another's key":       {CertFile: cert, KeyFile: other},
		"empty certificate":   {CertFile: empty, KeyFile: key},
		"empty authority":     {CertFile: cert, KeyFile: key, ClientCAFile: empty},
		"unknown client_auth": {CertFile: cert, KeyFile: key, ClientAuth: "maybe"},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
