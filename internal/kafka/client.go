// Package kafka turns Millrace's configuration into sarama clients, so that
// agent, pipelines, alerting, mirror and the command line reach a cluster in
// the same way. It holds no state.
package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/millrace/millrace/configs"
)

// ErrNoBrokers is returned when a client part runs without any address.
var ErrNoBrokers = errors.New("no Kafka brokers are configured: set kafka.brokers, for instance [127.0.0.1:9092]")

// ClientConfig returns a sarama configuration for the cluster. The caller may
// change the value before it makes a client of it.
func ClientConfig(k configs.Kafka) (*sarama.Config, error) {
	if len(k.Brokers) == 0 {
		return nil, ErrNoBrokers
	}
	c := sarama.NewConfig()
	c.ClientID = k.ClientID
	// The newest version whose requests every broker since Kafka 2.1 (zstd,
	// record batch v2, idempotence) answers.
	c.Version = sarama.V2_8_0_0
	c.ApiVersionsRequest = true
	c.Metadata.Full = true
	c.Metadata.Retry.Max = 5
	c.Metadata.Retry.Backoff = 250 * time.Millisecond
	c.Metadata.RefreshFrequency = 30 * time.Second
	c.Net.DialTimeout = 5 * time.Second
	if err := applyTLS(c, k.TLS); err != nil {
		return nil, err
	}
	if err := applySASL(c, k.SASL); err != nil {
		return nil, err
	}
	return c, nil
}

func applyTLS(c *sarama.Config, t configs.TLS) error {
	if !t.Enabled {
		return nil
	}
	conf := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("read tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("tls.ca_file %s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("read tls.cert_file and tls.key_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	c.Net.TLS.Enable, c.Net.TLS.Config = true, conf
	return nil
}

func applySASL(c *sarama.Config, s configs.SASL) error {
	sasl := &c.Net.SASL
	switch s.Mechanism {
	case "":
		return nil
	case "plain":
		sasl.Mechanism = sarama.SASLTypePlaintext
	case "scram-sha-256":
		sasl.Mechanism = sarama.SASLTypeSCRAMSHA256
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case "scram-sha-512":
		sasl.Mechanism = sarama.SASLTypeSCRAMSHA512
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	default:
		return fmt.Errorf("sasl.mechanism %q is not supported: write plain, scram-sha-256, scram-sha-512 or leave it empty", s.Mechanism)
	}
	if s.Username == "" || s.Password == "" {
		return fmt.Errorf("sasl.mechanism is %s, but sasl.username or sasl.password is missing", s.Mechanism)
	}
	sasl.Enable, sasl.Handshake, sasl.Version = true, true, sarama.SASLHandshakeV1
	sasl.User, sasl.Password = s.Username, s.Password
	return nil
}
