package configs

import (
	"cmp"
	"strings"
)

// Listener is one address of the broker node, with how clients are
// authenticated there.
type Listener struct {
	// Name of the listener: clients that come by it are told the addresses that
	// brokers advertise under this name.
	Name string `yaml:"name"`
	// Listen is the host:port to listen on; port 0 takes a free one.
	Listen string `yaml:"listen"`
	// Advertised is the host:port that clients are told to connect to; empty
	// means the address that is listened on.
	Advertised string `yaml:"advertised"`
	// ConnectionsMax bounds the open connections of this listener; 0 has no limit
	// besides that of the node (listener.name.<name>.max.connections).
	ConnectionsMax int `yaml:"connections_max" min:"0"`
	// TLS encrypts the connections when it has a cert_file.
	TLS ListenerTLS `yaml:"tls"`
	// SASL authenticates the clients when it has mechanisms.
	SASL ListenerSASL `yaml:"sasl"`
}

// ListenerTLS is the server's side of encrypted connections. The files are read
// again when they change.
type ListenerTLS struct {
	// CertFile is the server's certificate with its chain, in PEM.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of cert_file, in PEM.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile is a PEM file of the authorities that client certificates
	// must come from.
	ClientCAFile string `yaml:"client_ca_file"`
	// ClientAuth says whether clients need a certificate (ssl.client.auth).
	ClientAuth string `yaml:"client_auth" oneof:"none requested required"`
	// MinVersion is the oldest version of TLS that is spoken.
	MinVersion string `yaml:"min_version" oneof:"1.2 1.3"`
	// PrincipalMappingRules make a user's name of a client certificate's
	// distinguished name (ssl.principal.mapping.rules).
	PrincipalMappingRules string `yaml:"principal_mapping_rules"`
}

// Enabled reports whether the listener speaks TLS.
func (t ListenerTLS) Enabled() bool { return t.CertFile != "" }

// ListenerSASL says how the clients of a listener authenticate.
type ListenerSASL struct {
	// Mechanisms are those that clients may use: PLAIN, SCRAM-SHA-256 and
	// SCRAM-SHA-512 (sasl.enabled.mechanisms).
	Mechanisms []string `yaml:"mechanisms"`
	// ReauthMax is how long a client may go on without authenticating again;
	// 0 has no limit (connections.max.reauth.ms).
	ReauthMax Duration `yaml:"reauth_max" min:"0s"`
	// Users of PLAIN at this listener only; without any they are those of
	// broker.users.
	Users []User `yaml:"users"`
}

// Enabled reports whether clients of the listener must authenticate.
func (s ListenerSASL) Enabled() bool { return len(s.Mechanisms) > 0 }

// User is somebody who may connect to the broker.
type User struct {
	// Name of the user; the principal is User:name.
	Name string `yaml:"name"`
	// Password of the user; write ${file:PATH} to keep it out of this file.
	Password string `yaml:"password"`
	// PasswordHash stands in place of a password, as "millrace user hash" prints it.
	PasswordHash string `yaml:"password_hash"`
}

// PlaintextListener is the name of the listener that broker.listen makes.
const PlaintextListener = "PLAINTEXT"

// AllListeners returns the broker's listeners: those of listeners, or the one
// that listen and advertised stand for. Defaults are filled in.
func (b Broker) AllListeners() []Listener {
	if len(b.Listeners) == 0 {
		return []Listener{{Name: PlaintextListener, Listen: b.Listen, Advertised: b.Advertised}}
	}
	return b.Listeners
}

// OwnListener returns the listener that Millrace's own parts connect to.
func (b Broker) OwnListener() Listener {
	all := b.AllListeners()
	for _, l := range all {
		if l.Name == b.InterBrokerListener {
			return l
		}
	}
	return all[0]
}

// ClientAddress returns where clients on this host find the broker.
func (b Broker) ClientAddress() string {
	l := b.OwnListener()
	return cmp.Or(l.Advertised, Reachable(l.Listen))
}

// SecurityProtocol returns Kafka's name for how clients connect: PLAINTEXT, SSL,
// SASL_PLAINTEXT or SASL_SSL.
func (l Listener) SecurityProtocol() string {
	switch {
	case l.TLS.Enabled() && l.SASL.Enabled():
		return "SASL_SSL"
	case l.TLS.Enabled():
		return "SSL"
	case l.SASL.Enabled():
		return "SASL_PLAINTEXT"
	}
	return "PLAINTEXT"
}

// SASLMechanisms lists the mechanisms that a listener may offer.
func SASLMechanisms() []string { return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} }

// listeners checks the listeners of the broker and their users.
func (v *validator) listeners() {
	b := v.cfg.Broker
	v.hostPort("broker.listen", b.Listen, "")
	v.hostPort("broker.advertised", b.Advertised, "is where it listens")
	if len(b.Listeners) > 0 && b.Advertised != "" {
		v.fail("broker.advertised", "it belongs to broker.listen: with broker.listeners, give each listener its own")
	}
	names := map[string]bool{}
	for i, l := range b.Listeners {
		path := indexed("broker.listeners", i)
		switch {
		case !listenerName.MatchString(l.Name):
			v.fail(path+".name", "%q is not a name of a listener: use letters, digits, dot, underscore and hyphen, for instance INTERNAL", l.Name)
		case names[l.Name]:
			v.fail(path+".name", "there are two listeners named %q", l.Name)
		}
		names[l.Name] = true
		v.hostPort(path+".listen", l.Listen, "")
		v.hostPort(path+".advertised", l.Advertised, "is where it listens")
		v.listenerTLS(path+".tls", l.TLS)
		v.listenerSASL(path+".sasl", l.SASL)
		v.users(path+".sasl.users", l.SASL.Users)
	}
	if name := b.InterBrokerListener; name != "" && !names[name] {
		v.fail("broker.inter_broker_listener", "there is no listener named %q under broker.listeners", name)
	}
	v.users("broker.users", b.Users)
}

func (v *validator) listenerTLS(path string, t ListenerTLS) {
	switch {
	case !t.Enabled() && t != ListenerTLS{ClientAuth: t.ClientAuth, MinVersion: t.MinVersion}:
		v.fail(path, "cert_file is missing")
	case t.Enabled() && t.KeyFile == "":
		v.fail(path, "key_file is missing")
	case t.ClientAuth == "required" && t.ClientCAFile == "":
		v.fail(path, "client_auth is required, but client_ca_file is missing")
	}
}

func (v *validator) listenerSASL(path string, s ListenerSASL) {
	for i, m := range s.Mechanisms {
		if !oneOf(m, strings.Join(SASLMechanisms(), " ")) {
			v.fail(indexed(path+".mechanisms", i), "%q is not one of %s", m, strings.Join(SASLMechanisms(), ", "))
		}
	}
}

func (v *validator) users(path string, users []User) {
	names := map[string]bool{}
	for i, u := range users {
		at := indexed(path, i)
		switch {
		case u.Name == "":
			v.fail(at, "name is missing")
		case names[u.Name]:
			v.fail(at+".name", "there are two users named %q", u.Name)
		case (u.Password == "") == (u.PasswordHash == ""):
			v.fail(at, "give either password or password_hash")
		}
		names[u.Name] = true
	}
}
