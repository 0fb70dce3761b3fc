package compat

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/test/authority"
	"github.com/millrace/millrace/test/peers"
)

// secureNode is a node whose only way in is TLS with SASL, or TLS with a
// certificate. Its user is admin with the password "secret, really".
type secureNode struct {
	*node
	authority *authority.Authority
	// saslAddr and mutualAddr are its listeners.
	saslAddr, mutualAddr string
	certFile, keyFile    string // of a client
}

const (
	secureUser     = "admin"
	securePassword = "secret, really"
)

func startSecureNode(t testing.TB) *secureNode {
	t.Helper()
	a := authority.New(t, "compat")
	cert, key := a.Issue(t.TempDir(), pkix.Name{CommonName: "localhost"})
	server := configs.ListenerTLS{CertFile: cert, KeyFile: key, ClientAuth: "none", MinVersion: "1.2"}
	mutual := server
	mutual.ClientAuth, mutual.ClientCAFile = "required", a.File
	cfg := configs.Default().Broker
	cfg.OffsetsPartitions = 4
	cfg.Listeners = []configs.Listener{
		{Name: "SASL", Listen: "127.0.0.1:0", TLS: server, SASL: configs.ListenerSASL{Mechanisms: configs.SASLMechanisms()}},
		{Name: "MUTUAL", Listen: "127.0.0.1:0", TLS: mutual},
	}
	cfg.Users = []configs.User{{Name: secureUser, Password: securePassword}}
	s := &secureNode{authority: a, node: startNodeWith(t, t.TempDir(), cfg)}
	s.saslAddr = s.addr
	s.mutualAddr = s.listeners("MUTUAL")
	s.certFile, s.keyFile = a.Issue(t.TempDir(), pkix.Name{CommonName: "client", Organization: []string{"Example"}})
	return s
}

// javaProperties writes the settings of a Java client.
func (s *secureNode) javaProperties(t *testing.T, mechanism, user, password string) string {
	t.Helper()
	module := "org.apache.kafka.common.security.scram.ScramLoginModule"
	if mechanism == "PLAIN" {
		module = "org.apache.kafka.common.security.plain.PlainLoginModule"
	}
	name := filepath.Join(t.TempDir(), "client.properties")
	content := strings.Join([]string{
		"security.protocol=SASL_SSL", "sasl.mechanism=" + mechanism,
		fmt.Sprintf(`sasl.jaas.config=%s required username="%s" password="%s";`, module, user, password),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + s.authority.File, "",
	}, "\n")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestKcatOverTLSAndSASL: librdkafka 2.0 sends its SCRAM nonce twice, which Apache Kafka
// tolerated once; 4.1.1 refuses it.
func TestKcatOverTLSAndSASL(t *testing.T) {
	t.Parallel()
	kcat := peers.Kcat(t)
	s := startSecureNode(t)
	for _, mechanism := range configs.SASLMechanisms() {
		if againstKafka() && mechanism != "PLAIN" {
			continue
		}
		topic := "kcat-" + strings.ToLower(mechanism)
		args := []string{
			"-b", s.saslAddr, "-t", topic, "-X", "security.protocol=SASL_SSL", "-X", "ssl.ca.location=" + s.authority.File,
			"-X", "sasl.mechanism=" + mechanism, "-X", "sasl.username=" + secureUser, "-X", "sasl.password=" + securePassword,
		}
		runProgram(t, "one\ntwo\n", kcat, append(args, "-P")...)
		contains(t, mechanism, runProgram(t, "", kcat, append(args, "-C", "-e", "-q")...), "one", "two")
	}
	args := []string{
		"-b", s.mutualAddr, "-t", "kcat-plain", "-X", "security.protocol=SSL", "-X", "ssl.ca.location=" + s.authority.File,
		"-X", "ssl.certificate.location=" + s.certFile, "-X", "ssl.key.location=" + s.keyFile,
	}
	contains(t, "with a certificate", runProgram(t, "", kcat, append(args, "-C", "-e", "-q")...), "one", "two")
}

// TestPythonOverTLSAndSASL: kafka-python, and confluent-kafka with a newer librdkafka.
func TestPythonOverTLSAndSASL(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "kafka-python", "confluent-kafka")
	s := startSecureNode(t)
	contains(t, "python", runProgram(t, "", python, "testdata/secure_test.py",
		s.saslAddr, s.authority.File, secureUser, securePassword, s.mutualAddr, s.certFile, s.keyFile), "all is well")
}

// TestOurClientsOverTLSAndSASL: what configs.Kafka says reaches our broker as it reaches
// Apache Kafka's.
func TestOurClientsOverTLSAndSASL(t *testing.T) {
	t.Parallel()
	s := startSecureNode(t)
	for name, k := range s.ourClients() {
		t.Run(name, func(t *testing.T) { roundTrip(t, k, "ours-"+name) })
	}
	wrong := s.ourClients()["scram-sha-512"]
	wrong.SASL.Password = "wrong"
	c, err := kafka.ClientConfig(wrong)
	if err != nil {
		t.Fatal(err)
	}
	c.Metadata.Retry.Max = 0
	if client, err := sarama.NewClient(wrong.Brokers, c); err == nil || !strings.Contains(err.Error(), "SASL Authentication failed") {
		t.Errorf("wrong password: %v", err)
		if err == nil {
			_ = client.Close()
		}
	}
}

// ourClients are the ways in, for our own clients.
func (s *secureNode) ourClients() map[string]configs.Kafka {
	out := map[string]configs.Kafka{
		"certificate": {Brokers: []string{s.mutualAddr}, TLS: configs.TLS{Enabled: true, CAFile: s.authority.File, CertFile: s.certFile, KeyFile: s.keyFile}},
	}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		out[mechanism] = configs.Kafka{
			Brokers: []string{s.saslAddr}, TLS: configs.TLS{Enabled: true, CAFile: s.authority.File},
			SASL: configs.SASL{Mechanism: mechanism, Username: secureUser, Password: securePassword},
		}
	}
	return out
}

// TestOurClientsReachApacheKafkaOverTLSAndSASL: the same settings lead to a real Kafka.
func TestOurClientsReachApacheKafkaOverTLSAndSASL(t *testing.T) {
	t.Parallel()
	onlyOurs(t, "it starts its own Apache Kafka")
	a := authority.New(t, "compat")
	cert, key := a.Issue(t.TempDir(), pkix.Name{CommonName: "localhost"})
	store := filepath.Join(t.TempDir(), "keystore.pem")
	var both []byte
	for _, name := range []string{key, cert} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	if err := os.WriteFile(store, both, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &secureNode{authority: a, saslAddr: peers.FreeAddr(t), mutualAddr: peers.FreeAddr(t)}
	s.certFile, s.keyFile = a.Issue(t.TempDir(), pkix.Name{CommonName: "client"})
	server := peers.Kafka(t, peers.KafkaListener("SASL", s.saslAddr), peers.KafkaListener("MUTUAL", s.mutualAddr), peers.KafkaProperties(
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
		"ssl.keystore.type=PEM", "ssl.keystore.location="+store, "ssl.truststore.type=PEM", "ssl.truststore.location="+a.File,
		"listener.name.mutual.ssl.client.auth=required", "sasl.enabled.mechanisms="+strings.Join(configs.SASLMechanisms(), ","),
		fmt.Sprintf(`listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, secureUser, securePassword),
		"listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
	))
	admin, err := sarama.NewClusterAdmin([]string{server.Bootstrap}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	addScramUsers(t, server.Bootstrap, []configs.User{{Name: secureUser, Password: securePassword}})
	for name, k := range s.ourClients() {
		topic := "ours-" + name
		if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { roundTrip(t, k, topic) })
	}
}

// roundTrip produces and consumes one record.
func roundTrip(t *testing.T, k configs.Kafka, topic string) {
	t.Helper()
	c, err := kafka.ClientConfig(k)
	if err != nil {
		t.Fatal(err)
	}
	c.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(k.Brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	partition, offset, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(topic)})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := sarama.NewConsumer(k.Brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	pc, err := consumer.ConsumePartition(topic, partition, offset)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if m := <-pc.Messages(); string(m.Value) != topic {
		t.Errorf("consumed %q", m.Value)
	}
}

// TestJavaOverTLSAndSASL: Kafka's own tools add a SCRAM user, who then produces and
// consumes; a user who was deleted may not.
func TestJavaOverTLSAndSASL(t *testing.T) {
	t.Parallel()
	s := startSecureNode(t)
	admin := s.javaProperties(t, "PLAIN", secureUser, securePassword)
	out := s.secureTool(t, "", configCommand, "--command-config", admin, "--alter", "--entity-type", "users", "--entity-name", "dora",
		"--add-config", "SCRAM-SHA-512=[iterations=8192,password=dora's own]")
	contains(t, "add user", out, "Completed updating config for user dora.")
	contains(t, "describe user", s.secureTool(t, "", configCommand, "--command-config", admin, "--describe", "--entity-type", "users", "--entity-name", "dora"), "SCRAM-SHA-512=iterations=8192")
	dora := s.javaProperties(t, "SCRAM-SHA-512", "dora", "dora's own")
	s.secureTool(t, "one\ntwo\n", consoleProducer, "--topic", "java", "--producer.config", dora)
	contains(t, "consume", s.secureTool(t, "", consoleConsumer, "--topic", "java", "--consumer.config", dora, "--from-beginning", "--max-messages", "2"), "one two")
	s.secureTool(t, "", configCommand, "--command-config", dora, "--alter", "--entity-type", "users", "--entity-name", "dora", "--delete-config", "SCRAM-SHA-512")
	if out, err := peers.KafkaTool(t, topicCommand, "--bootstrap-server", s.saslAddr, "--command-config", dora, "--list"); err == nil ||
		!strings.Contains(err.Error(), "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512") {
		t.Errorf("a deleted user: %q, %v", out, err)
	}
}

func (s *secureNode) secureTool(t *testing.T, stdin, class string, args ...string) string {
	t.Helper()
	out, err := peers.KafkaToolInput(t, stdin, class, append([]string{"--bootstrap-server", s.saslAddr}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
