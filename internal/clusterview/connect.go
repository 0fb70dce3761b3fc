package clusterview

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ErrOtherListener is wrapped, together with [ErrUnreachable], when an address was reached but
// does not talk with us: its listener wants TLS or SASL that we have not, or the other way round.
var ErrOtherListener = errors.New("something listens there, but does not talk with us")

// Connect makes a client of the cluster. The caller closes it. Errors are those of [Explain] and
// [ErrOtherListener].
func Connect(brokers []string, c *sarama.Config) (sarama.Client, error) {
	client, err := sarama.NewClient(brokers, c)
	if err != nil {
		return nil, explainConnect(err, brokers, c)
	}
	return client, nil
}

// explainConnect is Explain for a first connection: one that was made and then broke off has a
// reason. A later one may break off because the broker ends.
func explainConnect(err error, brokers []string, c *sarama.Config) error {
	if c.Net.SASL.Enable && errors.Is(err, sarama.ErrOutOfBrokers) && errors.Unwrap(err) == nil {
		if refused := loginRefusal(brokers, c); refused != nil {
			err = refused
		}
	}
	why := ""
	if errors.Is(err, sarama.ErrIllegalSASLState) {
		why = "it takes no user and password: " + kerr.IllegalSaslState.Message
	} else if explained := Explain(err, brokers); !errors.Is(explained, ErrUnreachable) {
		return explained
	} else if why = brokenOff(err); why == "" {
		return explained
	}
	return fmt.Errorf("%w at %s (%s): %w", ErrUnreachable, strings.Join(brokers, ", "), why, ErrOtherListener)
}

// loginRefusal asks the brokers for the code with which they refuse to log us in, as a client
// does not tell it. It is nil when none does.
func loginRefusal(brokers []string, c *sarama.Config) error {
	for _, addr := range brokers {
		b := sarama.NewBroker(addr)
		if err := b.Open(c); err != nil {
			return err
		}
		_, err := b.Connected()
		if err == nil {
			err = b.Close()
		}
		if _, ok := errors.AsType[sarama.KError](err); ok {
			return err
		}
	}
	return nil
}

// brokenOff says why a connection broke off that was made; it is empty when none was.
func brokenOff(err error) string {
	tried, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok {
		return ""
	}
	for _, err := range tried.Unwrap() {
		_, malformed := errors.AsType[sarama.PacketDecodingError](err)
		_, plain := errors.AsType[tls.RecordHeaderError](err)
		op, ok := errors.AsType[*net.OpError](err)
		switch {
		case malformed, plain, errors.Is(err, sarama.ErrInsufficientData):
			return fmt.Sprintf("the answer is not of Kafka's protocol: %v", err)
		case ok && op.Op == "remote error": // an alert of TLS
			return err.Error()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return fmt.Sprintf("the connection was closed: %v", err)
		}
	}
	return ""
}
