package client

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/millrace/millrace/configs"
)

// commandConfig is a file as Apache Kafka's tools take it with --command-config: how a
// client reaches a cluster. Stores of keys are PEM files.
type commandConfig map[string]string

// readCommandConfig reads a properties file; lines may go on after a backslash.
func readCommandConfig(name string) (commandConfig, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	c := commandConfig{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		for strings.HasSuffix(line, `\`) && s.Scan() {
			line = strings.TrimSuffix(line, `\`) + strings.TrimSpace(s.Text())
		}
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, usagef("%s: %q is not of the form key=value", name, line)
		}
		c[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return c, nil
}

// apply changes how a cluster is reached as the file says. What it says of other things,
// as timeouts, is left alone.
func (c commandConfig) apply(k *configs.Kafka) error {
	protocol := strings.ToUpper(c["security.protocol"])
	switch protocol {
	case "", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
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
	user, hasUser := jaasOption(c["sasl.jaas.config"], "username")
	password, hasPassword := jaasOption(c["sasl.jaas.config"], "password")
	if !hasUser || !hasPassword {
		return usagef(`sasl.jaas.config has no username="…" and password="…"`)
	}
	k.SASL = configs.SASL{Mechanism: mechanism, Username: user, Password: password}
	return nil
}

// jaasOption reads one option of a JAAS entry: name="value", where a backslash takes the
// next character as it is.
func jaasOption(entry, name string) (string, bool) {
	for rest := entry; rest != ""; {
		i := strings.Index(rest, name+"=")
		if i < 0 {
			return "", false
		}
		starts := i == 0 || strings.ContainsRune(" \t;", rune(rest[i-1]))
		rest = rest[i+len(name)+1:]
		if !starts || rest == "" {
			continue
		}
		quote := rest[0]
		if quote != '"' && quote != '\'' {
			value, _, _ := strings.Cut(rest, " ")
			return strings.TrimSuffix(value, ";"), true
		}
		var value strings.Builder
		for j := 1; j < len(rest); j++ {
			switch {
			case rest[j] == '\\' && j+1 < len(rest):
				j++
				value.WriteByte(rest[j])
			case rest[j] == quote:
				return value.String(), true
			default:
				value.WriteByte(rest[j])
			}
		}
		return "", false
	}
	return "", false
}
