package client

import (
	"strings"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/configs/kafkaproperties"
)

// commandConfig is a file as Apache Kafka's tools take it with --command-config: how a
// client reaches a cluster. Stores of keys are PEM files.
type commandConfig map[string]string

// readCommandConfig reads a properties file, with Java's escapes and lines that go on.
func readCommandConfig(name string) (commandConfig, error) {
	f, err := kafkaproperties.Load(name)
	if err != nil {
		return nil, err
	}
	c := commandConfig{}
	known := len(f.Entries) == 0
	for _, e := range f.Entries {
		c[e.Key] = strings.TrimSpace(e.Value)
		known = known || strings.Contains(e.Key, ".")
	}
	if !known { // any text is a properties file
		return nil, usagef("%s does not look like a properties file of Kafka's clients, with lines as security.protocol=SASL_SSL", name)
	}
	return c, nil
}

// apply changes how a cluster is reached as the file says. What it says of other things,
// as timeouts, is left alone.
func (c commandConfig) apply(k *configs.Kafka) error {
	protocol := "PLAINTEXT"
	if p, ok := c["security.protocol"]; ok {
		protocol = strings.ToUpper(p)
	}
	switch protocol {
	case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
	default:
		return usagef("security.protocol=%s does not exist: write PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", protocol)
	}
	if strings.HasSuffix(protocol, "SSL") {
		if err := c.tls(k); err != nil {
			return err
		}
	}
	if strings.HasPrefix(protocol, "SASL") {
		return c.sasl(k)
	}
	return nil
}

func (c commandConfig) tls(k *configs.Kafka) error {
	for _, store := range []string{"truststore", "keystore"} {
		if c["ssl."+store+".location"] != "" && !strings.EqualFold(c["ssl."+store+".type"], "PEM") {
			return usagef("ssl.%s.type must be PEM: make one with keytool -exportcert -rfc or openssl pkcs12 -nodes", store)
		}
	}
	if c["ssl.key.password"] != "" {
		return usagef("ssl.key.password is not supported: keep the key in a PEM file that only you can read")
	}
	// Kafka's PEM keystore is one file with the key and the certificates.
	k.TLS = configs.TLS{Enabled: true, CAFile: c["ssl.truststore.location"], CertFile: c["ssl.keystore.location"], KeyFile: c["ssl.keystore.location"]}
	return nil
}

// sasl reads the mechanism, and user and password out of sasl.jaas.config.
func (c commandConfig) sasl(k *configs.Kafka) error {
	mechanism := strings.ToLower(c["sasl.mechanism"])
	switch mechanism {
	case "plain", "scram-sha-256", "scram-sha-512":
	case "":
		return usagef("sasl.mechanism is missing (Kafka's default, GSSAPI, is not supported): write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	default:
		return usagef("sasl.mechanism=%s is not supported: write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c["sasl.mechanism"])
	}
	options, ok := kafkaproperties.JAASOptions(c["sasl.jaas.config"])
	k.SASL = configs.SASL{Mechanism: mechanism}
	for _, o := range options {
		switch o.Name {
		case "username":
			k.SASL.Username = o.Value
		case "password":
			k.SASL.Password = o.Value
		}
	}
	if !ok || k.SASL.Username == "" || k.SASL.Password == "" {
		return usagef(`sasl.jaas.config has no username="…" and password="…"; a quote in a password is written \\"`)
	}
	return nil
}
