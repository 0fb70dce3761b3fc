package kafkaproperties

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/configs"
)

// endpoint is one word of listeners or advertised.listeners.
type endpoint struct{ name, address string }

// endpoints reads NAME://host:port,… An empty host is every address.
func (r *reader) endpoints(e Entry) []endpoint {
	var out []endpoint
	for _, word := range splitNonEmpty(e.Value, ",") {
		name, address, ok := strings.Cut(word, "://")
		name = listenerName(name)
		host, port, err := net.SplitHostPort(address)
		if !ok || err != nil || name == "" || port == "" {
			r.fail(e.Line, "%s: %q is not of the form NAME://host:port", e.Key, word)
			continue
		}
		if slices.ContainsFunc(out, func(o endpoint) bool { return o.name == name }) {
			r.fail(e.Line, "%s: there are two listeners named %s", e.Key, name)
			continue
		}
		out = append(out, endpoint{name, net.JoinHostPort(host, port)})
	}
	return out
}

// listenerName makes names equal that Kafka takes for the same: in any case, with blanks.
func listenerName(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// listeners makes the broker's listeners; those of controllers are left out,
// because a single node asks nobody.
func (r *reader) listeners() {
	e, ok := r.get("listeners")
	if !ok {
		e = Entry{Key: "listeners", Value: "PLAINTEXT://:9092"} // Kafka's default
	}
	protocols := r.protocols()
	controllers := splitNonEmpty(listenerName(r.value("controller.listener.names")), ",")
	advertised := map[string]string{}
	a, hasAdvertised := r.get("advertised.listeners")
	for _, p := range r.endpoints(a) {
		advertised[p.name] = p.address
	}
	r.broker.Listen, r.broker.Advertised, r.broker.Listeners = "", "", nil
	for _, p := range r.endpoints(e) {
		at := advertised[p.name]
		delete(advertised, p.name)
		if slices.Contains(controllers, p.name) {
			continue
		}
		protocol, known := protocols[p.name]
		if !known {
			r.fail(e.Line, "listeners: %s has no protocol: add %s:PLAINTEXT (or SSL, SASL_PLAINTEXT, SASL_SSL) to listener.security.protocol.map", p.name, p.name)
			continue
		}
		if hasAdvertised && at == "" {
			r.fail(a.Line, "advertised.listeners does not say where clients find listener %s", p.name)
		}
		r.broker.Listeners = append(r.broker.Listeners, r.listener(configs.Listener{Name: p.name, Listen: p.address, Advertised: at}, protocol))
	}
	for name := range advertised {
		r.fail(a.Line, "advertised.listeners: there is no listener %s", name)
	}
	if len(r.broker.Listeners) == 0 && len(r.errs) == 0 {
		r.fail(e.Line, "listeners names none for clients: all of them are controller.listener.names")
	}
	if len(r.broker.Listeners) > 0 {
		r.broker.Listen = r.broker.Listeners[0].Listen
	}
	r.interBroker(protocols)
}

// interBroker finds the listener that the node's own parts connect to.
func (r *reader) interBroker(protocols map[string]string) {
	e, ok := r.get("inter.broker.listener.name")
	wanted := listenerName(e.Value)
	if p, byProtocol := r.get("security.inter.broker.protocol"); byProtocol {
		if ok {
			r.fail(p.Line, "security.inter.broker.protocol and inter.broker.listener.name (line %d) exclude each other", e.Line)
			return
		}
		e, wanted = p, ""
		for _, l := range r.broker.Listeners {
			if protocols[l.Name] == listenerName(p.Value) {
				wanted = l.Name
				break
			}
		}
		ok = true
	}
	if ok && !slices.ContainsFunc(r.broker.Listeners, func(l configs.Listener) bool { return l.Name == wanted }) {
		r.fail(e.Line, "%s: there is no listener for %s", e.Key, e.Value)
		return
	}
	r.broker.InterBrokerListener = wanted
}

// protocols reads listener.security.protocol.map over its default.
func (r *reader) protocols() map[string]string {
	names := []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
	out := map[string]string{}
	for _, name := range names {
		out[name] = name
	}
	e, ok := r.get("listener.security.protocol.map")
	if !ok {
		return out
	}
	for _, word := range splitNonEmpty(e.Value, ",") {
		name, protocol, ok := strings.Cut(word, ":")
		name, protocol = listenerName(name), listenerName(protocol)
		if !ok || !slices.Contains(names, protocol) {
			r.fail(e.Line, "listener.security.protocol.map: %q is not of the form NAME:PROTOCOL with one of %s", word, strings.Join(names, ", "))
			continue
		}
		out[name] = protocol
	}
	return out
}

// of returns a key's value for a listener: listener.name.<name>.<key> goes before key.
func (r *reader) of(listener, key string) (Entry, bool) {
	e, ok := r.get("listener.name." + strings.ToLower(listener) + "." + key)
	if general, there := r.get(key); !ok {
		return general, there
	}
	return e, ok
}

func (r *reader) listener(l configs.Listener, protocol string) configs.Listener {
	l.TLS.ClientAuth, l.TLS.MinVersion = "none", "1.2"
	if e, ok := r.get("listener.name." + strings.ToLower(l.Name) + ".max.connections"); ok {
		n, err := strconv.ParseInt(strings.TrimSpace(e.Value), 10, 32)
		if err != nil || n < 1 {
			r.fail(e.Line, "%s: %q is not a number from 1 on", e.Key, e.Value)
		}
		l.ConnectionsMax = int(n)
	}
	if strings.HasSuffix(protocol, "SSL") {
		r.tls(&l)
		r.clientAuth(&l, protocol)
	}
	if strings.HasPrefix(protocol, "SASL") {
		r.sasl(&l)
	}
	return l
}

// tls takes certificates in PEM; Java's own formats of stores are refused.
func (r *reader) tls(l *configs.Listener) {
	store, ok := r.of(l.Name, "ssl.keystore.location")
	if !ok {
		r.fail(store.Line, "listener %s needs a certificate: ssl.keystore.type=PEM and ssl.keystore.location", l.Name)
		return
	}
	r.pem(l.Name, "ssl.keystore", store)
	l.TLS.CertFile, l.TLS.KeyFile = strings.TrimSpace(store.Value), strings.TrimSpace(store.Value)
	if trust, ok := r.of(l.Name, "ssl.truststore.location"); ok {
		r.pem(l.Name, "ssl.truststore", trust)
		l.TLS.ClientCAFile = strings.TrimSpace(trust.Value)
	}
	if p, ok := r.of(l.Name, "ssl.key.password"); ok {
		r.fail(p.Line, "ssl.key.password: encrypted keys cannot be read, store the key without a password (openssl pkey) where only the broker's user may read it")
	}
	if v, ok := r.of(l.Name, "ssl.enabled.protocols"); ok && !slices.Contains(splitNonEmpty(v.Value, ","), "TLSv1.2") {
		l.TLS.MinVersion = "1.3"
	}
	if rules, ok := r.of(l.Name, "ssl.principal.mapping.rules"); ok {
		l.TLS.PrincipalMappingRules = rules.Value
	}
}

// clientAuth reads whether clients show a certificate. Clients that log in over TLS do only
// where the listener's own key says so, as in Kafka (KIP-684).
func (r *reader) clientAuth(l *configs.Listener, protocol string) {
	auth, ok := r.of(l.Name, "ssl.client.auth")
	if !ok {
		return
	}
	value := strings.TrimSpace(auth.Value)
	if !slices.Contains([]string{"none", "requested", "required"}, value) {
		r.fail(auth.Line, "%s is %q: write none, requested or required", auth.Key, auth.Value)
		return
	}
	if protocol == "SASL_SSL" && auth.Key == "ssl.client.auth" {
		return
	}
	l.TLS.ClientAuth = value
}

func (r *reader) pem(listener, store string, at Entry) {
	if kind, _ := r.of(listener, store+".type"); !strings.EqualFold(strings.TrimSpace(kind.Value), "PEM") {
		r.fail(at.Line, "%s.type is not PEM: convert the store (keytool -importkeystore to PKCS12, then openssl pkcs12 -nodes) and set %s.type=PEM", store, store)
	}
}

// sasl takes the mechanisms, and the users that a JAAS line of PLAIN lists.
func (r *reader) sasl(l *configs.Listener) {
	mechanisms, ok := r.of(l.Name, "sasl.enabled.mechanisms")
	if !ok {
		r.fail(mechanisms.Line, "listener %s needs sasl.enabled.mechanisms: Kafka's default, GSSAPI, is not spoken here", l.Name)
		return
	}
	for _, m := range splitNonEmpty(mechanisms.Value, ",") {
		if !slices.Contains(configs.SASLMechanisms(), m) {
			r.fail(mechanisms.Line, "sasl.enabled.mechanisms: %s is not one of %s", m, strings.Join(configs.SASLMechanisms(), ", "))
			continue
		}
		l.SASL.Mechanisms = append(l.SASL.Mechanisms, m)
	}
	if e, ok := r.of(l.Name, "connections.max.reauth.ms"); ok {
		var b configs.Broker
		if err := millis(1e6, func(b *configs.Broker, d configs.Duration) { b.IdleTimeout = d })(&b, e.Value); err != nil {
			r.fail(e.Line, "%s: %v", e.Key, err)
		}
		l.SASL.ReauthMax = b.IdleTimeout
	}
	for _, key := range []string{"plain.sasl.jaas.config", "scram-sha-256.sasl.jaas.config", "scram-sha-512.sasl.jaas.config"} {
		if e, ok := r.of(l.Name, key); ok && strings.HasPrefix(key, "plain") {
			l.SASL.Users = r.jaasUsers(e)
		}
	}
}

// jaasUsers reads the options user_NAME="password" of PlainLoginModule. Of a user who is
// there several times the last one counts, as in Java.
func (r *reader) jaasUsers(e Entry) []configs.User {
	options, ok := JAASOptions(e.Value)
	if !ok {
		r.fail(e.Line, "%s: write user_NAME=\"password\"", e.Key)
		return nil
	}
	var users []configs.User
	for _, o := range options {
		name, ok := strings.CutPrefix(o.Name, "user_")
		if !ok {
			continue
		}
		users = slices.DeleteFunc(users, func(u configs.User) bool { return u.Name == name })
		users = append(users, configs.User{Name: name, Password: o.Value})
	}
	return users
}
