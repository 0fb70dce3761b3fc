package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/internal/clusterview"
)

// franz returns a client for the APIs that sarama does not have. The caller closes it.
func (g *Globals) franz() (*kgo.Client, error) {
	k, c, err := g.sarama()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(k.Brokers...), kgo.ClientID(c.ClientID), kgo.RetryTimeout(15 * time.Second), kgo.RequestRetries(3),
		kgo.DialTimeout(c.Net.DialTimeout),
	}
	if c.Net.TLS.Enable {
		opts = append(opts, kgo.DialTLSConfig(c.Net.TLS.Config))
	}
	if s := c.Net.SASL; s.Enable {
		switch s.Mechanism {
		case sarama.SASLTypeSCRAMSHA256:
			opts = append(opts, kgo.SASL(scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism()))
		case sarama.SASLTypeSCRAMSHA512:
			opts = append(opts, kgo.SASL(scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism()))
		default:
			opts = append(opts, kgo.SASL(plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()))
		}
	}
	return kgo.NewClient(opts...)
}

// withFranz runs fn with a connection to the cluster.
func (g *Globals) withFranz(fn func(*kgo.Client) error) error {
	// The view says in one line why a cluster cannot be reached.
	if err := g.withView(func(*clusterview.View) error { return nil }); err != nil {
		return err
	}
	cl, err := g.franz()
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer cl.Close()
	return fn(cl)
}

// joinErrors is errors.Join that leaves a single error alone.
func joinErrors(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
