package broker

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/certs"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/broker/wire"
	"github.com/millrace/millrace/configs"
)

// listener is an open listener of the node.
type listener struct {
	cfg configs.Listener
	net net.Listener
	// at is what clients are told; an empty host stands for the address that
	// the client came to.
	at    metadata.Endpoint
	certs *certs.Source // nil without TLS
	rules *certs.Rules
	sasl  *sasl.Policy // nil without SASL
}

// openListeners listens on all configured addresses. They do not accept yet.
func (n *Node) openListeners() error {
	for _, cfg := range n.cfg.AllListeners() {
		l := &listener{cfg: cfg}
		var err error
		if l.net, err = net.Listen("tcp", cfg.Listen); err != nil {
			return fmt.Errorf("listener %s: %w", cfg.Name, err)
		}
		n.listeners = append(n.listeners, l)
		if l.at, err = advertisedEndpoint(cfg, l.net.Addr()); err != nil {
			return fmt.Errorf("listener %s: %w", cfg.Name, err)
		}
		if err := n.secure(l); err != nil {
			return fmt.Errorf("listener %s: %w", cfg.Name, err)
		}
	}
	return n.addInitialUsers()
}

// secure reads a listener's certificates and users.
func (n *Node) secure(l *listener) error {
	var err error
	if t := l.cfg.TLS; t.Enabled() {
		if l.rules, err = certs.ParseRules(t.PrincipalMappingRules); err != nil {
			return err
		}
		l.certs, err = certs.Open(certs.Config{
			CertFile: t.CertFile, KeyFile: t.KeyFile, ClientCAFile: t.ClientCAFile, ClientAuth: t.ClientAuth,
			MinVersion: t.MinVersion, Listener: l.cfg.Name, Logger: n.log,
		})
		if err != nil {
			return err
		}
	}
	if !l.cfg.SASL.Enabled() {
		return nil
	}
	users := n.cfg.Users
	if len(l.cfg.SASL.Users) > 0 {
		users = l.cfg.SASL.Users
	}
	plain, err := newPlainUsers(users)
	if err != nil {
		return err
	}
	l.sasl = &sasl.Policy{
		Mechanisms: l.cfg.SASL.Mechanisms, SessionMax: l.cfg.SASL.ReauthMax.D(),
		VerifyPlain: plain.verify, Credential: n.scramCredential, Decoy: sasl.NewDecoy(),
	}
	return nil
}

func (n *Node) wireListeners() []wire.Listener {
	out := make([]wire.Listener, len(n.listeners))
	for i, l := range n.listeners {
		out[i] = wire.Listener{Name: l.cfg.Name, Net: l.net, ConnectionsMax: l.cfg.ConnectionsMax, SASL: l.sasl}
		if l.certs != nil {
			out[i].TLS, out[i].Principal = l.certs.Config(), l.rules.Principal
		}
	}
	return out
}

// endpoints are what the node registers with.
func (n *Node) endpoints() []metadata.Endpoint {
	out := make([]metadata.Endpoint, len(n.listeners))
	for i, l := range n.listeners {
		out[i] = l.at
	}
	return out
}

// Addr returns the host:port at which Millrace's own parts find the node.
func (n *Node) Addr() string {
	addr, _ := n.ListenerAddr(n.cfg.OwnListener().Name)
	return addr
}

// ListenerAddr returns the host:port that a listener is open at; ok is false
// when there is no listener of the name.
func (n *Node) ListenerAddr(name string) (addr string, ok bool) {
	for _, l := range n.listeners {
		if l.cfg.Name == name {
			return l.net.Addr().String(), true
		}
	}
	return "", false
}

// advertisedEndpoint is where clients of a listener are told to connect to.
func advertisedEndpoint(cfg configs.Listener, addr net.Addr) (metadata.Endpoint, error) {
	e := metadata.Endpoint{Listener: cfg.Name, Protocol: cfg.SecurityProtocol()}
	host, port, err := splitHostPort(addr.String())
	if err != nil {
		return e, err
	}
	e.Host, e.Port = host, port
	if cfg.Advertised != "" {
		if e.Host, e.Port, err = splitHostPort(cfg.Advertised); err != nil {
			return e, fmt.Errorf("advertised: %w", err)
		}
		e.Port = cmp.Or(e.Port, port)
		return e, nil
	}
	if ip := net.ParseIP(e.Host); ip != nil && ip.IsUnspecified() {
		e.Host = ""
	}
	return e, nil
}

func splitHostPort(s string) (host string, port int32, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	p, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no valid port", s)
	}
	return host, int32(p), nil
}

// endpointFor returns where the client of a connection finds a broker: at what the
// broker advertises under the name of the listener that the client came by. A
// broker that has no such listener cannot be reached by the client.
func endpointFor(b *metadata.Broker, conn *wire.Conn) (metadata.Endpoint, bool) {
	e, ok := b.Endpoint(conn.Listener())
	if ok && e.Host == "" {
		if host, _, err := splitHostPort(conn.LocalAddr().String()); err == nil {
			e.Host = host
		}
	}
	return e, ok
}

// checkListeners finds what would keep the listeners from opening.
func checkListeners(cfg configs.Broker) error {
	names := map[string]bool{}
	for _, l := range cfg.AllListeners() {
		if l.Name == "" || names[l.Name] {
			return fmt.Errorf("broker.listeners: every listener needs a name of its own, not %q", l.Name)
		}
		names[l.Name] = true
		for _, m := range l.SASL.Mechanisms {
			if !slices.Contains(configs.SASLMechanisms(), m) {
				return fmt.Errorf("broker.listeners: %s: mechanism %q is not one of %v", l.Name, m, configs.SASLMechanisms())
			}
		}
	}
	if cfg.InterBrokerListener != "" && !names[cfg.InterBrokerListener] {
		return fmt.Errorf("broker.inter_broker_listener: there is no listener named %q", cfg.InterBrokerListener)
	}
	return nil
}

// The listeners as Kafka's configs show them.

func listenerAddresses(c configs.Broker) string {
	return joinListeners(c, func(l configs.Listener) string { return l.Name + "://" + l.Listen })
}

func advertisedListeners(c configs.Broker) string {
	return joinListeners(c, func(l configs.Listener) string {
		if l.Advertised == "" {
			return ""
		}
		return l.Name + "://" + l.Advertised
	})
}

func listenerProtocols(c configs.Broker) string {
	return joinListeners(c, func(l configs.Listener) string { return l.Name + ":" + l.SecurityProtocol() })
}

func joinListeners(c configs.Broker, show func(configs.Listener) string) string {
	var parts []string
	for _, l := range c.AllListeners() {
		if s := show(l); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ",")
}
