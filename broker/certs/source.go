package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// checkInterval is how long changed files may go unnoticed.
const checkInterval = time.Second

// expiryWarning is how long before its end a certificate is warned of.
const expiryWarning = 14 * 24 * time.Hour

// Config names the files of a listener.
type Config struct {
	// CertFile and KeyFile are the server's certificate, with its chain, and key.
	CertFile, KeyFile string
	// ClientCAFile holds the authorities of client certificates; empty means
	// the system's.
	ClientCAFile string
	// ClientAuth is none, requested or required.
	ClientAuth string
	// MinVersion is 1.2 or 1.3.
	MinVersion string
	// Listener names the listener in log lines.
	Listener string
	Logger   *slog.Logger
	// Now is the time; nil is the clock.
	Now func() time.Time
}

// Source holds a listener's settings and keeps them up to date with the files.
type Source struct {
	cfg     Config
	current atomic.Pointer[tls.Config]

	mu      sync.Mutex // held through a look at the files
	checked time.Time
	seen    []fs.FileInfo // the files as they were when they were last read
}

// Open reads the files. All of them must be usable.
func Open(cfg Config) (*Source, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Source{cfg: cfg, checked: cfg.Now()}
	seen, err := s.stat()
	if err != nil {
		return nil, err
	}
	settings, err := s.load()
	if err != nil {
		return nil, err
	}
	s.seen = seen
	s.current.Store(settings)
	return s, nil
}

// Config returns settings that stay up to date by themselves.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion: s.current.Load().MinVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s.refresh()
			return s.current.Load(), nil
		},
	}
}

// refresh takes over changed files. Handshakes do not wait for each other here:
// whoever comes while somebody looks takes the settings as they are.
func (s *Source) refresh() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if now.Sub(s.checked) < checkInterval {
		return
	}
	s.checked = now
	seen, err := s.stat()
	if err == nil && slices.EqualFunc(seen, s.seen, sameFile) {
		return
	}
	known := s.seen
	s.seen = seen // also of files that cannot be used: one line for each state
	var settings *tls.Config
	if err == nil {
		settings, err = s.load()
	}
	switch {
	case err == nil:
		s.current.Store(settings)
		s.cfg.Logger.Info("certificate reloaded", "listener", s.cfg.Listener, "file", s.cfg.CertFile, "expires", settings.Certificates[0].Leaf.NotAfter)
	case seen != nil || known != nil:
		s.cfg.Logger.Error("changed certificate files cannot be used, the old ones stay in use", "listener", s.cfg.Listener, "error", err)
	}
}

// stat returns what tells one state of the files from another, nil when one is missing.
func (s *Source) stat() ([]fs.FileInfo, error) {
	var infos []fs.FileInfo
	for _, name := range []string{s.cfg.CertFile, s.cfg.KeyFile, s.cfg.ClientCAFile} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// load makes settings of the files as they are now. Each has session tickets of its
// own, so what an older client authority let in is not resumed under a newer one.
func (s *Source) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read %s and %s: %w", s.cfg.CertFile, s.cfg.KeyFile, err)
	}
	s.checkDates(pair.Leaf)
	settings := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if s.cfg.MinVersion == "1.3" {
		settings.MinVersion = tls.VersionTLS13
	}
	switch s.cfg.ClientAuth {
	case "", "none":
	case "requested":
		settings.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		settings.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return nil, fmt.Errorf("client_auth %q is not none, requested or required", s.cfg.ClientAuth)
	}
	if s.cfg.ClientCAFile != "" {
		if settings.ClientCAs, err = readAuthorities(s.cfg.ClientCAFile); err != nil {
			return nil, err
		}
	}
	return settings, nil
}

func (s *Source) checkDates(leaf *x509.Certificate) {
	now := s.cfg.Now()
	switch {
	case now.After(leaf.NotAfter) || now.Before(leaf.NotBefore):
		s.cfg.Logger.Error("certificate is not valid today", "listener", s.cfg.Listener, "file", s.cfg.CertFile, "valid_from", leaf.NotBefore, "expires", leaf.NotAfter)
	case now.Add(expiryWarning).After(leaf.NotAfter):
		s.cfg.Logger.Warn("certificate expires soon", "listener", s.cfg.Listener, "file", s.cfg.CertFile, "expires", leaf.NotAfter)
	}
}

// errNoCertificate is a PEM file without certificates.
var errNoCertificate = errors.New("holds no PEM certificate")

func readAuthorities(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %w", name, errNoCertificate)
	}
	return pool, nil
}
