package conformance

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/configs/kafkaproperties"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
)

// brokerProperties are how both brokers are set up for a suite.
func brokerProperties(p project) []string {
	lines := append([]string{
		"num.partitions=4",
		"offsets.topic.num.partitions=4",
		"group.initial.rebalance.delay.ms=100",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found=true",
	}, p.properties...)
	if len(p.users) == 0 {
		return lines
	}
	const prefix = "listener.name.sasl_plaintext."
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(p.users)) {
		plain += fmt.Sprintf(" user_%s=%q", name, p.users[name])
	}
	return append(lines,
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
		prefix+"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		prefix+"plain.sasl.jaas.config="+plain+";",
		prefix+"scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		prefix+"scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;")
}

// named is an address under the name that the broker has for a suite.
func (p project) named(addr string) string {
	return strings.Replace(addr, "127.0.0.1:", cmp.Or(p.host, "127.0.0.1")+":", 1)
}

// ourBroker runs this product's broker for a suite, by a server.properties.
func ourBroker(t *testing.T, p project) target {
	t.Helper()
	if p.ownBrokers {
		return target{}
	}
	at := target{listen: peers.FreeAddr(t)}
	at.bootstrap = p.named(at.listen)
	if p.proxied {
		at.bootstrap = peers.FreeAddr(t)
	}
	listeners, advertised := "listeners=PLAINTEXT://"+at.listen, "advertised.listeners=PLAINTEXT://"+at.bootstrap
	if len(p.users) > 0 {
		sasl := peers.FreeAddr(t)
		at.sasl = p.named(sasl)
		listeners, advertised = listeners+",SASL_PLAINTEXT://"+sasl, advertised+",SASL_PLAINTEXT://"+at.sasl
	}
	file, err := kafkaproperties.Parse("server.properties", []byte(strings.Join(append(brokerProperties(p), listeners, advertised), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := file.Broker(configs.Default().Broker)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "broker.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() }) // a test's log
	at.log = log.Name()
	b, err := broker.New(cfg, broker.Options{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: timesInUTC}))})
	if err != nil {
		t.Fatal(err)
	}
	nodes.Run(t, b.Run)
	return at
}

// timesInUTC lets the log's times compare with those of Kafka's.
func timesInUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

// apacheKafka runs Apache Kafka for a suite.
func apacheKafka(t *testing.T, p project) target {
	t.Helper()
	at := target{kafka: true}
	if p.ownBrokers {
		return at
	}
	properties := brokerProperties(p)
	options := []peers.KafkaOption{peers.KafkaHost(cmp.Or(p.host, "127.0.0.1"))}
	if p.proxied {
		at.bootstrap = peers.FreeAddr(t)
		properties = append(properties, "advertised.listeners=PLAINTEXT://"+at.bootstrap)
	}
	if len(p.users) > 0 {
		sasl := peers.FreeAddr(t)
		at.sasl = p.named(sasl)
		options = append(options, peers.KafkaListener("SASL_PLAINTEXT", sasl))
	}
	server := peers.Kafka(t, append(options, peers.KafkaProperties(properties...))...)
	at.listen, at.log = server.Bootstrap, server.LogFile()
	at.bootstrap = cmp.Or(at.bootstrap, p.named(server.Bootstrap))
	return at
}
