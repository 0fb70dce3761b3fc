package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
)

// lineBytesMax is the longest line that produce sends, below Kafka's default
// limit of a message.
const lineBytesMax = 1_000_000

// produceOptions are the flags of produce.
type produceOptions struct {
	keySeparator string
	headers      []string
	partition    int32
	compression  string
}

func produceCommand(g *Globals) *cobra.Command {
	var o produceOptions
	c := g.command(&cobra.Command{
		Use: "produce TOPIC", Short: "Send each line of standard input as a record",
		Long: "Sends each line of standard input as a record, with acks=all and an idempotent producer. It ends with code 0\n" +
			"only if every line was acknowledged. A line end (\\n or \\r\\n) is not part of the record.",
		Example: "  echo 'key=value' | millrace produce logs --key-separator = --header service=web",
		Args:    Arguments(cobra.ExactArgs(1)), ValidArgsFunction: g.completeTopics(1),
	}, func(cmd *cobra.Command, args []string) error {
		return runProduce(g, cmd, args[0], o)
	})
	c.Flags().StringVar(&o.keySeparator, "key-separator", "", "what stands before it in a line is the record's key")
	c.Flags().StringArrayVarP(&o.headers, "header", "H", nil, "header `key=value` of every record, may be repeated")
	c.Flags().Int32VarP(&o.partition, "partition", "p", -1, "partition to write to; -1 chooses by key")
	c.Flags().StringVarP(&o.compression, "compression", "z", "none", "`codec`: none, gzip, snappy, lz4 or zstd")
	cobra.CheckErr(c.RegisterFlagCompletionFunc("compression", fixedCompletions("none", "gzip", "snappy", "lz4", "zstd")))
	return c
}

// produced is what produce prints with -o json.
type produced struct {
	Topic   string `json:"topic"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

func runProduce(g *Globals, cmd *cobra.Command, topic string, o produceOptions) error {
	headers, err := parseHeaders(o.headers)
	if err != nil {
		return err
	}
	k, c, err := g.sarama()
	if err != nil {
		return err
	}
	if err := producerConfig(c, o); err != nil {
		return err
	}
	client, err := clusterview.Connect(k.Brokers, c)
	if err != nil {
		return err
	}
	producer, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return errors.Join(clusterview.Explain(err, k.Brokers), client.Close())
	}
	s := &sender{topic: topic, options: o, headers: headers, producer: producer, failed: make(chan struct{}), collected: make(chan struct{})}
	go s.collect()
	readErr := s.lines(cmd.Context(), cmd.InOrStdin())
	producer.AsyncClose()
	<-s.collected
	closeErr := client.Close()
	if err := s.result(readErr, k.Brokers); err != nil {
		return err
	}
	if g.json() {
		if err := writeJSON(cmd.OutOrStdout(), produced{topic, s.acked, s.bytes}); err != nil {
			return err
		}
	}
	return closeErr
}

func parseHeaders(list []string) ([]sarama.RecordHeader, error) {
	var headers []sarama.RecordHeader
	for _, h := range list {
		key, value, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return nil, usagef("--header %q is not of the form key=value", h)
		}
		headers = append(headers, sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
	}
	return headers, nil
}

func producerConfig(c *sarama.Config, o produceOptions) error {
	if err := c.Producer.Compression.UnmarshalText([]byte(o.compression)); err != nil {
		return usagef("--compression %q does not exist: write none, gzip, snappy, lz4 or zstd", o.compression)
	}
	if o.partition < -1 {
		return usagef("--partition %d: partitions begin at 0", o.partition)
	}
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 20, 250*time.Millisecond
	c.Producer.MaxMessageBytes = lineBytesMax + 40<<10
	c.Producer.Partitioner = newJavaPartitioner
	if o.partition >= 0 {
		c.Producer.Partitioner = sarama.NewManualPartitioner
	}
	c.Metadata.AllowAutoTopicCreation = true
	c.Metadata.Retry.Max = 10
	return nil
}

// sender reads lines and counts their acknowledgements. Fields below the
// channels belong to collect until collected is closed.
type sender struct {
	topic    string
	options  produceOptions
	headers  []sarama.RecordHeader
	producer sarama.AsyncProducer

	read      int64         // lines handed to the producer; belongs to lines
	failed    chan struct{} // closed at the first failure
	collected chan struct{} // closed when every line was answered

	acked, bytes, refused int64
	first                 *sarama.ProducerError
}

// collect takes the answers until the producer is closed.
func (s *sender) collect() {
	defer close(s.collected)
	successes, failures := s.producer.Successes(), s.producer.Errors()
	for successes != nil || failures != nil {
		select {
		case m, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			s.acked++
			s.bytes += int64(m.Value.Length())
		case e, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			if s.refused++; s.refused == 1 {
				s.first = e
				close(s.failed)
			}
		}
	}
}

// lines hands the lines to the producer until the input ends, a line was
// refused, or the context ends. The goroutine that waits for standard input
// cannot be woken and ends with the process in the last two cases.
func (s *sender) lines(ctx context.Context, in io.Reader) error {
	input := make(chan inputLine)
	stop := make(chan struct{})
	defer close(stop)
	go readLines(in, input, stop)
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted after %d lines", s.read)
		case <-s.failed:
			return nil
		case l, ok := <-input:
			if !ok {
				return nil
			}
			if l.err != nil {
				return l.err
			}
			m, err := s.message(l.text)
			if err != nil {
				return err
			}
			select {
			case s.producer.Input() <- m:
				s.read++
			case <-s.failed:
				return nil
			}
		}
	}
}

func (s *sender) message(line []byte) (*sarama.ProducerMessage, error) {
	m := &sarama.ProducerMessage{Topic: s.topic, Headers: s.headers, Partition: s.options.partition, Metadata: s.read + 1}
	value := line
	if sep := s.options.keySeparator; sep != "" {
		key, rest, ok := strings.Cut(string(line), sep)
		if !ok {
			return nil, fmt.Errorf("line %d has no key separator %q: nothing after line %d was sent", s.read+1, sep, s.read)
		}
		m.Key, value = sarama.StringEncoder(key), []byte(rest)
	}
	m.Value = sarama.ByteEncoder(value)
	return m, nil
}

// result says what became of the lines.
func (s *sender) result(readErr error, brokers []string) error {
	if s.first == nil {
		return readErr
	}
	line, _ := s.first.Msg.Metadata.(int64)
	err := clusterview.Explain(s.first.Err, brokers)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		err = fmt.Errorf("topic %q does not exist and the cluster does not make it: use \"millrace topic create\"", s.topic)
	}
	if errors.Is(err, sarama.ErrInvalidPartition) {
		err = fmt.Errorf("topic %q has no partition %d", s.topic, s.options.partition)
	}
	return fmt.Errorf("line %d was not acknowledged, %d lines were, %d were not: %w", line, s.acked, s.refused, err)
}

type inputLine struct {
	text []byte
	err  error
}

// readLines sends the lines of r and closes the channel at its end.
func readLines(r io.Reader, out chan<- inputLine, stop <-chan struct{}) {
	defer close(out)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 64<<10), lineBytesMax+2)
	n := 0
	send := func(l inputLine) bool {
		select {
		case out <- l:
			return true
		case <-stop:
			return false
		}
	}
	for scanner.Scan() {
		n++
		if !send(inputLine{text: append([]byte{}, scanner.Bytes()...)}) {
			return
		}
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		send(inputLine{err: fmt.Errorf("line %d is longer than %d bytes: the lines before it were sent", n+1, lineBytesMax)})
	case err != nil:
		send(inputLine{err: fmt.Errorf("read standard input after line %d: %w", n, err)})
	}
}
