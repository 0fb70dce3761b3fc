package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// againstKafka says whether the tests run against Apache Kafka instead of this product's
// broker (MILLRACE_COMPAT_BROKER=kafka), which shows that what they ask for is
// what Kafka does. Each test starts a Kafka of its own: run them with -parallel 1.
func againstKafka() bool { return os.Getenv("MILLRACE_COMPAT_BROKER") == "kafka" }

// onlyOurs skips what concerns this product alone when the tests run against Kafka.
func onlyOurs(t *testing.T, what string) {
	t.Helper()
	if againstKafka() {
		t.Skipf("not a test of the protocol: %s", what)
	}
}

// startKafka runs an Apache Kafka that is set up as cfg says.
func startKafka(t testing.TB, cfg configs.Broker) *node {
	t.Helper()
	properties := []string{"num.partitions=4"}
	if cfg.Authorizer.Enabled {
		properties = append(properties, "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users="+strings.Join(cfg.Authorizer.SuperUsers, ";"))
	}
	if d := cfg.GroupConsumerHeartbeatInterval.D(); d != configs.Default().Broker.GroupConsumerHeartbeatInterval.D() {
		properties = append(properties, fmt.Sprintf("group.consumer.heartbeat.interval.ms=%d", d.Milliseconds()),
			fmt.Sprintf("group.consumer.min.heartbeat.interval.ms=%d", cfg.GroupConsumerHeartbeatIntervalMin.D().Milliseconds()))
	}
	options := []peers.KafkaOption{}
	listeners := map[string]string{}
	protocols := []string{"PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"}
	for _, l := range cfg.Listeners {
		listeners[l.Name] = peers.FreeAddr(t)
		options = append(options, peers.KafkaListener(l.Name, listeners[l.Name]))
		protocols = append(protocols, l.Name+":"+map[bool]string{true: "SASL_SSL", false: "SSL"}[l.SASL.Enabled()])
		properties = append(properties, listenerProperties(t, l, cfg.Users)...)
	}
	properties = append(properties, "listener.security.protocol.map="+strings.Join(protocols, ","))
	server := peers.Kafka(t, append(options, peers.KafkaProperties(properties...))...)
	n := &node{t: t, addr: server.Bootstrap, dir: filepath.Dir(server.LogDir), stop: sync.OnceFunc(func() { server.Stop(t) })}
	n.listeners = func(name string) string { return listeners[name] }
	if len(cfg.Listeners) > 0 {
		n.addr = listeners[cfg.Listeners[0].Name]
		addScramUsers(t, server.Bootstrap, cfg.Users)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("Kafka's log:\n" + server.Log())
		}
	})
	return n
}

// killable is a broker in a process of its own.
type killable struct {
	*node
	// kill is kill -9, start runs it again on its data and waits until it answers.
	kill, start func()
}

// startKillable runs a broker that can be killed.
func startKillable(t *testing.T) *killable {
	t.Helper()
	if againstKafka() {
		server := peers.Kafka(t)
		return &killable{node: &node{t: t, addr: server.Bootstrap}, kill: server.Kill, start: server.Start}
	}
	binary, err := process.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	p := process.New(t, binary, "broker: {offsets_partitions: 4}\n", "broker")
	p.Start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Logs())
		}
	})
	return &killable{node: &node{t: t, addr: p.Broker}, kill: p.Kill, start: p.Start}
}

// listenerProperties are the TLS and SASL settings of a listener in Kafka's words.
func listenerProperties(t testing.TB, l configs.Listener, users []configs.User) []string {
	t.Helper()
	prefix := "listener.name." + strings.ToLower(l.Name) + "."
	store := filepath.Join(t.TempDir(), "keystore.pem")
	if err := os.WriteFile(store, slices.Concat(read(t, l.TLS.KeyFile), read(t, l.TLS.CertFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := []string{prefix + "ssl.keystore.type=PEM", prefix + "ssl.keystore.location=" + store, prefix + "ssl.client.auth=" + l.TLS.ClientAuth}
	if l.TLS.ClientCAFile != "" {
		lines = append(lines, prefix+"ssl.truststore.type=PEM", prefix+"ssl.truststore.location="+l.TLS.ClientCAFile)
	}
	if !l.SASL.Enabled() {
		return lines
	}
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, u := range users {
		plain += fmt.Sprintf(" user_%s=%q", u.Name, u.Password)
	}
	return append(lines,
		prefix+"sasl.enabled.mechanisms="+strings.Join(l.SASL.Mechanisms, ","),
		prefix+"plain.sasl.jaas.config="+plain+";",
		prefix+"scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		prefix+"scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;")
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// addScramUsers makes users who can log in by SCRAM.
func addScramUsers(t testing.TB, bootstrap string, users []configs.User) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, u := range users {
		for _, mechanism := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} {
			if _, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{
				{Name: u.Name, Mechanism: mechanism, Iterations: 4096, Salt: []byte("salt of " + u.Name), Password: []byte(u.Password)},
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
