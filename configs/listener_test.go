package configs

import (
	"slices"
	"strings"
	"testing"
)

func TestListenersAreRead(t *testing.T) {
	cfg, err := memory(map[string]string{"/m.yaml": `
broker:
  inter_broker_listener: INSIDE
  listeners:
    - {name: OUTSIDE, listen: "0.0.0.0:9093", advertised: "kafka.example:9093", tls: {cert_file: c, key_file: k}, sasl: {mechanisms: [PLAIN, SCRAM-SHA-512], reauth_max: 1h}}
    - {name: INSIDE, listen: "0.0.0.0:9092", sasl: {mechanisms: PLAIN, users: [{name: x, password: y}]}}
    - {name: PLAIN, listen: "127.0.0.1:0"}
    - {name: TLS, listen: "127.0.0.1:0", tls: {cert_file: c, key_file: k, client_auth: required, client_ca_file: a}}
  users: [{name: admin, password: "${file:/secret}"}]
`, "/secret": "hunter2\n"}, nil).Load("/m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var protocols []string
	for _, l := range cfg.Broker.AllListeners() {
		protocols = append(protocols, l.Name+":"+l.SecurityProtocol())
	}
	if want := []string{"OUTSIDE:SASL_SSL", "INSIDE:SASL_PLAINTEXT", "PLAIN:PLAINTEXT", "TLS:SSL"}; !slices.Equal(protocols, want) {
		t.Errorf("%v, want %v", protocols, want)
	}
	if at := cfg.Broker.ClientAddress(); at != "127.0.0.1:9092" {
		t.Errorf("own parts connect to %s", at)
	}
	if l := cfg.Broker.Listeners[0]; l.TLS.ClientAuth != "none" || l.TLS.MinVersion != "1.2" || cfg.Broker.Users[0].Password != "hunter2" {
		t.Errorf("%+v", l)
	}
	short := Default().Broker
	if all := short.AllListeners(); len(all) != 1 || all[0].Name != "PLAINTEXT" || all[0].Listen != short.Listen || short.ClientAddress() != "127.0.0.1:9092" {
		t.Errorf("short form: %+v", all)
	}
}

func TestListenersThatContradictThemselves(t *testing.T) {
	for yaml, want := range map[string]string{
		`{advertised: "a:1", listeners: [{name: A, listen: "a:1"}]}`:                                       "it belongs to broker.listen",
		`{listeners: [{name: A, listen: "a:1"}, {name: A, listen: "a:2"}]}`:                                `broker.listeners[1].name: there are two listeners named "A"`,
		`{listeners: [{name: "a b", listen: "a:1"}]}`:                                                      "is not a name of a listener",
		`{listeners: [{name: A, listen: a}]}`:                                                              `broker.listeners[0].listen: "a" is not an address`,
		`{inter_broker_listener: B, listeners: [{name: A, listen: "a:1"}]}`:                                `no listener named "B"`,
		`{listeners: [{name: A, listen: "a:1", tls: {key_file: k}}]}`:                                      "cert_file is missing",
		`{listeners: [{name: A, listen: "a:1", tls: {cert_file: c}}]}`:                                     "key_file is missing",
		`{listeners: [{name: A, listen: "a:1", tls: {cert_file: c, key_file: k, client_auth: required}}]}`: "client_ca_file is missing",
		`{listeners: [{name: A, listen: "a:1", tls: {cert_file: c, key_file: k, client_auth: maybe}}]}`:    `"maybe" is not one of none, requested, required`,
		`{listeners: [{name: A, listen: "a:1", sasl: {mechanisms: [GSSAPI]}}]}`:                            `sasl.mechanisms[0]: "GSSAPI" is not one of PLAIN`,
		`{users: [{password: p}]}`:                                                                         "name is missing",
		`{users: [{name: a, password: p}, {name: a, password: q}]}`:                                        "two users named",
		`{users: [{name: a}]}`:                                "either password or password_hash",
		`{users: [{name: a, password: p, password_hash: h}]}`: "either password or password_hash",
	} {
		_, err := memory(map[string]string{"/m.yaml": "broker: " + yaml + "\n"}, nil).Load("/m.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}
