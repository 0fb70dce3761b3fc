package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/authority"
)

func handshakeRequest(mechanism string) *kmsg.SASLHandshakeRequest {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	return req
}

func tokenRequest(token string) *kmsg.SASLAuthenticateRequest {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(token)
	return req
}

// logged waits for a log line, as a connection is closed after it is logged but the
// client may notice first.
func (n *testNode) logged(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for n.log.count(want) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("no log line with %q:\n%s", want, n.log.String())
		}
		runtime.Gosched()
	}
}

func TestWhatIsNotOfTheListenersKindIsNamedInTheLog(t *testing.T) {
	a := authority.New(t, "test")
	for _, test := range []struct {
		listener, line string
		send           func(net.Conn)
	}{
		{"PLAINTEXT", "the client speaks TLS, this listener does not", func(c net.Conn) { _ = tls.Client(c, a.Client("", "")).Handshake() }},
		{"PLAINTEXT", "the client speaks HTTP", func(c net.Conn) { _, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\n\r\n") }},
		{"SSL", "listener SSL uses TLS, the client does not", func(c net.Conn) { _, _ = c.Write(frameOf(3, 1, kmsg.NewPtrApiVersionsRequest())) }},
		{"SSL", "TLS handshake failed", func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12}).Handshake()
		}},
		{"MUTUAL", "TLS handshake failed", func(c net.Conn) {
			client := tls.Client(c, a.Client("", ""))
			_ = client.Handshake()
			_, _ = client.Read(make([]byte, 1))
		}},
		{"SASL_PLAINTEXT", "request not allowed before authentication: API key 3", func(c net.Conn) { _, _ = c.Write(frameOf(12, 1, kmsg.NewPtrMetadataRequest())) }},
	} {
		n := startNode(t, t.TempDir(), secureConfig(t, a))
		c := dialListener(t, n, test.listener)
		test.send(c.Conn)
		if _, err := io.Copy(io.Discard, c); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Errorf("%s, %s: not closed", test.listener, test.line)
			}
		}
		n.logged(t, test.line)
		n.stop()
	}
}

func TestOrdersThatSASLDoesNotAllow(t *testing.T) {
	n := startNode(t, t.TempDir(), secureConfig(t, authority.New(t, "test")))
	versions := func() kmsg.Request {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "raw", "1"
		return req
	}
	type step struct {
		version int16
		req     kmsg.Request
	}
	plain := tokenRequest("\x00alice\x00alice's")
	for name, steps := range map[string][]step{
		"versions twice":                  {{3, versions()}, {3, versions()}},
		"a token without a handshake":     {{2, plain}},
		"versions after a handshake":      {{1, handshakeRequest("PLAIN")}, {3, versions()}},
		"a handshake twice":               {{1, handshakeRequest("PLAIN")}, {1, handshakeRequest("PLAIN")}},
		"metadata instead of a token":     {{1, handshakeRequest("PLAIN")}, {12, kmsg.NewPtrMetadataRequest()}},
		"metadata in the middle of SCRAM": {{1, handshakeRequest("SCRAM-SHA-256")}, {2, tokenRequest("n,,n=alice,r=x")}, {12, kmsg.NewPtrMetadataRequest()}},
		"produce":                         {{9, produceRequest("t", 1, []byte("x"))}},
	} {
		c := dialListener(t, n, "SASL_PLAINTEXT")
		for i, s := range steps {
			c.send(frameOf(s.version, 1, s.req))
			if i < len(steps)-1 {
				c.receive()
			}
		}
		c.expectClosed(name)
	}
}

func TestHostileTokensCloseTheirConnection(t *testing.T) {
	n := startNode(t, t.TempDir(), secureConfig(t, authority.New(t, "test")))
	huge := strings.Repeat("x", sasl.TokenBytesMax)
	for name, send := range map[string]func(*rawConn){
		"a request beyond what may come before authentication": func(c *rawConn) {
			ask[*kmsg.SASLHandshakeResponse](c, 1, handshakeRequest("PLAIN"))
			_, _ = c.Write(frameOf(2, 1, tokenRequest(huge)))
		},
		"a raw token beyond the limit": func(c *rawConn) {
			ask[*kmsg.SASLHandshakeResponse](c, 0, handshakeRequest("PLAIN"))
			_, _ = c.Write(binary.BigEndian.AppendUint32(nil, sasl.TokenBytesMax+1))
		},
		"a raw token of a negative length": func(c *rawConn) {
			ask[*kmsg.SASLHandshakeResponse](c, 0, handshakeRequest("PLAIN"))
			_, _ = c.Write([]byte{0xff, 0xff, 0xff, 0xff})
		},
		"a raw token that is wrong": func(c *rawConn) {
			ask[*kmsg.SASLHandshakeResponse](c, 0, handshakeRequest("PLAIN"))
			_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, 10), "\x00alice\x00bob"...))
		},
		"garbage": func(c *rawConn) { _, _ = c.Write(bytes.Repeat([]byte{0xa5}, 4096)) },
	} {
		c := dialListener(t, n, "SASL_PLAINTEXT")
		send(c)
		c.expectClosed(name)
	}
	awaitUsed(t, n, 0) // a writer may still be about to give back what it has sent
}

func TestSlowStrangersAreSentAway(t *testing.T) {
	cfg := secureConfig(t, authority.New(t, "test"))
	cfg.HandshakeTimeout = configs.Duration(200 * time.Millisecond)
	reg := prometheus.NewRegistry()
	n := startNodeWith(t, cfg, Options{Dir: t.TempDir(), Registerer: reg})
	for _, listener := range []string{"SSL", "SASL_PLAINTEXT", "SASL_SSL"} {
		c := dialListener(t, n, listener)
		if listener == "SASL_PLAINTEXT" { // the first half is no excuse
			c.inTime(1, handshakeRequest("PLAIN"))
		}
		c.expectClosed(listener)
	}
	awaitMetric(t, reg, "millrace_broker_connections_closed_total", labelsOf("reason", "slow"))
	// Whoever is known stays. On a busy machine the client itself may be too slow.
	for deadline := time.Now().Add(time.Minute); ; {
		c := dialListener(t, n, "SASL_PLAINTEXT")
		if c.inTime(1, handshakeRequest("PLAIN")) && c.inTime(2, tokenRequest("\x00alice\x00alice's")) {
			pass(t, 300*time.Millisecond)
			ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody gets in within a minute")
		}
	}
}

// inTime sends a request and says whether it is answered, and the connection not closed.
func (c *rawConn) inTime(version int16, req kmsg.Request) bool {
	c.t.Helper()
	if _, err := c.Write(frameOf(version, 1, req)); err != nil {
		return false
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(c, size); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, binary.BigEndian.Uint32(size)))
	return err == nil
}

// pass lets time pass that the node measures.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// login authenticates with PLAIN.
func (c *rawConn) login(user, password string) *kmsg.SASLAuthenticateResponse {
	c.t.Helper()
	if resp := ask[*kmsg.SASLHandshakeResponse](c, 1, handshakeRequest("PLAIN")); resp.ErrorCode != 0 || len(resp.SupportedMechanisms) != 3 {
		c.t.Fatalf("handshake %+v", resp)
	}
	return ask[*kmsg.SASLAuthenticateResponse](c, 2, tokenRequest("\x00"+user+"\x00"+password))
}

// TestSlowHandshakesKeepNobodyWaiting: many connections that stop in the middle of
// TLS leave the processors to others.
func TestSlowHandshakesKeepNobodyWaiting(t *testing.T) {
	a := authority.New(t, "test")
	cfg := secureConfig(t, a)
	cfg.HandshakeTimeout = configs.Duration(time.Hour)
	n := startNode(t, t.TempDir(), cfg)
	hello := recordHello(t, a)
	for range 20 * runtime.GOMAXPROCS(0) {
		c := dialListener(t, n, "SSL")
		c.send(hello) // and then nothing
	}
	c := clientOn(t, n, "SSL", kgo.DialTLSConfig(a.Client("", "")))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Ping(ctx); err != nil {
		t.Fatalf("a client waits for those who are slow: %v", err)
	}
}

// recordHello returns the first bytes that a TLS client sends.
func recordHello(t *testing.T, a *authority.Authority) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() { _ = tls.Client(client, a.Client("", "")).Handshake() }()
	b := make([]byte, 16<<10)
	count, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	return b[:count]
}

func TestFailedAuthenticationsAreAnsweredLateAndLeaveNothing(t *testing.T) {
	cfg := secureConfig(t, authority.New(t, "test"))
	cfg.Listeners = cfg.Listeners[3:4]
	n := startNode(t, t.TempDir(), cfg)
	if resp := dialListener(t, n, "SASL_PLAINTEXT").login("alice", "alice's"); resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	before := runtime.NumGoroutine()
	for range 20 {
		c := dialListener(t, n, "SASL_PLAINTEXT")
		start := time.Now()
		resp := c.login("alice", "wrong")
		if took := time.Since(start); took < 100*time.Millisecond {
			t.Errorf("refused after %s", took)
		}
		if resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || resp.ErrorMessage == nil || *resp.ErrorMessage != "Authentication failed: Invalid username or password" {
			t.Errorf("refused with %+v", resp)
		}
		c.expectClosed("a wrong password")
	}
	c := dialListener(t, n, "SASL_PLAINTEXT")
	if resp := ask[*kmsg.SASLHandshakeResponse](c, 1, handshakeRequest("GSSAPI")); resp.ErrorCode != kerr.UnsupportedSaslMechanism.Code || len(resp.SupportedMechanisms) != 3 {
		t.Errorf("unknown mechanism: %+v", resp)
	}
	c.expectClosed("an unknown mechanism")
	// Clients that go away while they wait for the refusal.
	for range 20 {
		c := dialListener(t, n, "SASL_PLAINTEXT")
		ask[*kmsg.SASLHandshakeResponse](c, 1, handshakeRequest("PLAIN"))
		c.send(frameOf(2, 1, tokenRequest("\x00alice\x00wrong")))
		c.Close()
	}
	deadline := time.Now().Add(60 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
	n.logged(t, `user \"alice\" at listener SASL_PLAINTEXT`)
	if strings.Contains(n.log.String(), "wrong") {
		t.Error("the log holds a password")
	}
}

func TestRawTokensAfterTheOldHandshake(t *testing.T) {
	n := startNode(t, t.TempDir(), secureConfig(t, authority.New(t, "test")))
	c := dialListener(t, n, "SASL_PLAINTEXT")
	if resp := ask[*kmsg.SASLHandshakeResponse](c, 0, handshakeRequest("PLAIN")); resp.ErrorCode != 0 {
		t.Fatalf("handshake %+v", resp)
	}
	token := "\x00alice\x00alice's"
	c.send(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	if answer := c.receive(); len(answer) != 0 {
		t.Fatalf("answer %q", answer)
	}
	ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
}

func TestSessionsEndUnlessTheyAreRenewed(t *testing.T) {
	cfg := secureConfig(t, authority.New(t, "test"))
	for i := range cfg.Listeners {
		cfg.Listeners[i].SASL.ReauthMax = configs.Duration(1500 * time.Millisecond)
	}
	reg := prometheus.NewRegistry()
	n := startNodeWith(t, cfg, Options{Dir: t.TempDir(), Registerer: reg})
	c := dialListener(t, n, "SASL_PLAINTEXT")
	if resp := c.login("alice", "alice's"); resp.SessionLifetimeMillis != 1500 {
		t.Fatalf("%+v", resp)
	}
	ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
	pass(t, 1600*time.Millisecond) // the session's own time
	if resp := c.login("alice", "alice's"); resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 1500 {
		t.Fatalf("again: %+v", resp)
	}
	ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
	pass(t, 1600*time.Millisecond)
	c.send(frameOf(12, 1, kmsg.NewPtrMetadataRequest()))
	c.expectClosed("a request after the session")
	awaitMetric(t, reg, "millrace_broker_connections_closed_total", labelsOf("reason", "session_expired"))
	// franz-go renews its sessions by itself.
	k := clientOn(t, n, "SASL_PLAINTEXT", kgo.SASL(mechanismOf("SCRAM-SHA-512", "alice", "alice's")), kgo.RequestRetries(0))
	for range 20 {
		pass(t, 200*time.Millisecond)
		if err := k.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestACertificateIsReplacedUnderClients: those that are connected go on, those
// that come see the new certificate, and a broken file changes nothing.
func TestACertificateIsReplacedUnderClients(t *testing.T) {
	a := authority.New(t, "test")
	cfg := secureConfig(t, a)
	n := startNode(t, t.TempDir(), cfg)
	c := dialListener(t, n, "SSL")
	old := tls.Client(c.Conn, a.Client("", ""))
	serial := func() string {
		addr, _ := n.ListenerAddr("SSL")
		conn, err := tls.Dial("tcp", addr, a.Client("", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	through := &rawConn{old, t}
	ask[*kmsg.MetadataResponse](through, 12, kmsg.NewPtrMetadataRequest())
	dir := strings.TrimSuffix(cfg.Listeners[1].TLS.CertFile, "/cert.pem")
	a.Issue(dir, pkix.Name{CommonName: "renewed"})
	deadline := time.Now().Add(60 * time.Second)
	for serial() != "renewed" {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
	n.logged(t, "certificate reloaded")
	ask[*kmsg.MetadataResponse](through, 12, kmsg.NewPtrMetadataRequest())
}

// TestThePrincipalIsWhoeverTheListenerSays: the refusals of an authorizer name it.
func TestThePrincipalIsWhoeverTheListenerSays(t *testing.T) {
	a := authority.New(t, "test")
	cfg := secureConfig(t, a)
	rules := cfg.Listeners[2]
	rules.Name, rules.TLS.PrincipalMappingRules = "RULES", `RULE:^CN=(.*?),.*$/$1/U`
	cfg.Listeners = append(cfg.Listeners, rules)
	cert, key := a.Issue(t.TempDir(), pkix.Name{CommonName: "client", Organization: []string{"Example"}})
	cfg.Authorizer = closedConfig().Authorizer
	n := startNode(t, t.TempDir(), cfg)
	for listener, opts := range map[string][]kgo.Opt{
		"PLAINTEXT User:ANONYMOUS":        nil,
		"SSL User:ANONYMOUS":              {kgo.DialTLSConfig(a.Client(cert, key))},
		"MUTUAL User:CN=client,O=Example": {kgo.DialTLSConfig(a.Client(cert, key))},
		"RULES User:CLIENT":               {kgo.DialTLSConfig(a.Client(cert, key))},
		"SASL_PLAINTEXT User:alice":       {kgo.SASL(mechanismOf("SCRAM-SHA-256", "alice", "alice's"))},
		"SASL_SSL User:bob":               {kgo.DialTLSConfig(a.Client(cert, key)), kgo.SASL(mechanismOf("PLAIN", "bob", "bob's"))},
	} {
		name, _, _ := strings.Cut(listener, " ")
		c := clientOn(t, n, name, opts...)
		if _, err := c.SeedBrokers()[0].Request(t.Context(), kmsg.NewPtrDescribeLogDirsRequest()); err != nil {
			t.Fatalf("%s: %v", listener, err)
		}
		_, principal, _ := strings.Cut(listener, " ")
		n.logged(t, fmt.Sprintf("principal=%s ", quoted(principal)))
	}
}

// quoted writes a value as slog's text handler does.
func quoted(s string) string {
	if strings.Contains(s, "=") {
		return strconv.Quote(s)
	}
	return s
}
