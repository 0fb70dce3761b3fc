// Package clusterview reads what a cluster that speaks Kafka's protocol holds:
// topics with their sizes and offsets, consumer groups with their lag, and the
// records of a topic. The command line and the console show the same things
// through it, over Millrace's own broker and Apache Kafka alike.
//
// A [View] holds one sarama client and no other state; its methods may be
// called concurrently. Nothing here writes to the cluster. Answers are
// snapshots: the numbers of one answer were asked for one after another, so an
// end offset may be newer than a committed one, and a lag is never negative.
// Errors name what was asked for and, when no broker can be reached, the
// addresses that were tried ([ErrUnreachable]).
package clusterview

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
)

// ErrUnreachable is wrapped when no broker of the cluster can be reached.
var ErrUnreachable = errors.New("cannot reach Kafka")

// ErrNotLetIn is wrapped when a broker refuses the user or password, or does not
// offer the mechanism.
var ErrNotLetIn = errors.New("Kafka does not let us in") //nolint:staticcheck // a name

// ErrUntrusted is wrapped when a broker's certificate comes from an authority that is
// not trusted, or is for another name.
var ErrUntrusted = errors.New("cannot trust Kafka")

// ErrNoTopic is wrapped when a topic does not exist.
var ErrNoTopic = errors.New("does not exist")

// ErrNoGroup is wrapped when a consumer group does not exist.
var ErrNoGroup = errors.New("does not exist")

// View is an open connection to a cluster.
type View struct {
	client  sarama.Client
	admin   sarama.ClusterAdmin
	brokers []string
}

// Open connects to the cluster. It never creates a topic by asking for it. The
// caller closes the view.
func Open(cfg configs.Kafka) (*View, error) {
	c, err := kafka.ClientConfig(cfg)
	if err != nil {
		return nil, err
	}
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 2
	c.Admin.Retry.Max = 2
	c.Net.ReadTimeout = 10 * time.Second
	return OpenConfig(cfg.Brokers, c)
}

// OpenConfig connects with a sarama configuration that the caller has changed
// to its needs and does not change any more.
func OpenConfig(brokers []string, c *sarama.Config) (*View, error) {
	client, err := Connect(brokers, c)
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, errors.Join(Explain(err, brokers), client.Close())
	}
	return &View{client: client, admin: admin, brokers: brokers}, nil
}

// Admin is the administrative client of the same connection; it must not be closed.
func (v *View) Admin() sarama.ClusterAdmin { return v.admin }

// Client is the sarama client of the same connection; it must not be closed.
func (v *View) Client() sarama.Client { return v.client }

// Close ends the connections.
func (v *View) Close() error { return v.admin.Close() }

// Explain turns sarama's error into one that says what can be done. Errors
// that are not about reaching the cluster are returned as they are.
func Explain(err error, brokers []string) error {
	var netErr net.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed), errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		return fmt.Errorf("%w at %s (%s)", ErrNotLetIn, strings.Join(brokers, ", "), cause(err))
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w at %s (%w)", ErrUntrusted, strings.Join(brokers, ", "), untrusted)
	case errors.Is(err, sarama.ErrOutOfBrokers), errors.Is(err, sarama.ErrBrokerNotAvailable),
		errors.Is(err, sarama.ErrNotConnected), errors.Is(err, io.EOF), errors.As(err, &netErr):
		return fmt.Errorf("%w at %s (%s)", ErrUnreachable, strings.Join(brokers, ", "), cause(err))
	default:
		return err
	}
}

// cause shortens sarama's "client has run out of available brokers" to what
// happened to the connection.
func cause(err error) string {
	text := err.Error()
	text = strings.TrimPrefix(text, "kafka: client has run out of available brokers to talk to: ")
	text = strings.TrimPrefix(text, "kafka: client has run out of available brokers to talk to")
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(lines[i]), "* ")
	}
	if len(lines) == 0 {
		return "no broker answers"
	}
	return lines[len(lines)-1]
}
