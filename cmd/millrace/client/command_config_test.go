package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
)

func TestCommandConfigSaysHowAClusterIsReached(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want configs.Kafka
		bad  string
	}{
		"nothing": {"# a comment\n\nrequest.timeout.ms=1000\n", configs.Kafka{}, ""},
		"tls":     {"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=/ca.pem\n", configs.Kafka{TLS: configs.TLS{Enabled: true, CAFile: "/ca.pem"}}, ""},
		"scram": {
			"security.protocol = SASL_PLAINTEXT\nsasl.mechanism = SCRAM-SHA-256\nsasl.jaas.config = org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  username=\"app\" \\\n  password=\"it's \\\\\"so\\\\\"; x\";\n",
			configs.Kafka{SASL: configs.SASL{Mechanism: "scram-sha-256", Username: "app", Password: `it's "so"; x`}},
			"",
		},
		"both": {
			"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required username='a' password=b;",
			configs.Kafka{TLS: configs.TLS{Enabled: true}, SASL: configs.SASL{Mechanism: "plain", Username: "a", Password: "b"}},
			"",
		},
		"Java's escapes": {
			"security.protocol : SASL_PLAINTEXT\nsasl.mechanism PLAIN\nsasl.jaas.config=M required username = \"\\u0061\" user=x \\\n\tpassword=\"\\\\\\\\\" ;",
			configs.Kafka{SASL: configs.SASL{Mechanism: "plain", Username: "a", Password: `\`}},
			"",
		},
		"a quote without end": {"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required username=\"x\" password=\"y;", configs.Kafka{}, "sasl.jaas.config"},
		"a broken escape":     {"security.protocol=\\u00\n", configs.Kafka{}, "hexadecimal"},
		"java's keystore":     {"security.protocol=SSL\nssl.keystore.location=/k.jks\n", configs.Kafka{}, "must be PEM"},
		"kerberos":            {"security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI\n", configs.Kafka{}, "GSSAPI is not supported"},
		"no mechanism":        {"security.protocol=SASL_SSL\n", configs.Kafka{}, "sasl.mechanism is missing"},
		"no user":             {"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config=M required myusername=\"x\" password=\"y\";", configs.Kafka{}, "sasl.jaas.config"},
		"unknown protocol":    {"security.protocol=TLS\n", configs.Kafka{}, "does not exist"},
		"no value":            {"security.protocol\n", configs.Kafka{}, "does not exist"},
		"another file":        {"first line\nsecond\n", configs.Kafka{}, "does not look like"},
		"key's password":      {"security.protocol=SSL\nssl.key.password=x\n", configs.Kafka{}, "ssl.key.password"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "client.properties")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var got configs.Kafka
			read, err := readCommandConfig(path)
			if err == nil {
				err = read.apply(&got)
			}
			switch {
			case c.bad != "":
				if err == nil || !strings.Contains(err.Error(), c.bad) || ExitCode(err) != ExitUsage {
					t.Errorf("%v, want a usage error with %q", err, c.bad)
				}
			case err != nil:
				t.Error(err)
			case got.TLS != c.want.TLS || got.SASL != c.want.SASL:
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
