package broker

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/test/authority"
	"github.com/millrace/millrace/test/peers"
)

// saslOrders are exchanges before and after authentication with PLAIN as
// alice. What a step's answer is, or that the connection is closed, is compared.
//
// Not compared is another request than SaslAuthenticate between the tokens: Kafka
// sends an error of that API before it closes the connection, we only close it.
func saslOrders() map[string][]comparedStep {
	step := func(version int16, req kmsg.Request, mask ...string) comparedStep {
		return comparedStep{name: kmsg.NameForKey(req.Key()), version: version, req: req, mask: append(mask, "ApiKeys", "SupportedFeatures", "FinalizedFeatures", "FinalizedFeaturesEpoch", "SupportedMechanisms", "ZkMigrationReady")}
	}
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "raw", "1"
	nameless := kmsg.NewPtrApiVersionsRequest()
	plain, scram := handshakeRequest("PLAIN"), handshakeRequest("SCRAM-SHA-512")
	good := tokenRequest("\x00alice\x00alice's")
	metadata := kmsg.NewPtrMetadataRequest()
	return map[string][]comparedStep{
		"plain":                        {step(3, versions), step(1, plain), step(2, good), step(12, metadata), step(3, versions)},
		"without versions":             {step(1, plain), step(0, good), step(12, metadata)},
		"bad versions first":           {step(3, nameless), step(3, versions), step(1, plain), step(2, good)},
		"versions twice":               {step(3, versions), step(3, versions)},
		"metadata first":               {step(12, metadata)},
		"token first":                  {step(2, good)},
		"unknown mechanism":            {step(1, handshakeRequest("GSSAPI")), step(1, plain)},
		"no mechanism":                 {step(0, handshakeRequest(""))},
		"wrong password":               {step(1, plain), step(2, tokenRequest("\x00alice\x00wrong"))},
		"unknown user":                 {step(1, plain), step(2, tokenRequest("\x00nobody\x00x"))},
		"no user":                      {step(1, plain), step(1, tokenRequest("\x00\x00x"))},
		"no password":                  {step(1, plain), step(0, tokenRequest("\x00alice\x00"))},
		"two parts":                    {step(1, plain), step(2, tokenRequest("alice\x00x"))},
		"empty":                        {step(1, plain), step(2, tokenRequest(""))},
		"for another":                  {step(1, plain), step(2, tokenRequest("root\x00alice\x00alice's"))},
		"not of SCRAM's form":          {step(1, scram), step(2, tokenRequest("hello"))},
		"SCRAM for another":            {step(1, scram), step(2, tokenRequest("n,a=root,n=alice,r=x"))},
		"handshake when authenticated": {step(1, plain), step(2, good), step(1, plain), step(12, metadata)},
		"token when authenticated":     {step(1, plain), step(2, good), step(2, good), step(12, metadata)},
		"wrong SCRAM proof": {
			step(1, scram), step(2, tokenRequest("n,,n=alice,r=x"), "SASLAuthBytes"),
			step(2, tokenRequest("c=biws,r=x,p=AAAA")),
		},
	}
}

// TestSASLAnswersAreThoseOfApacheKafka sends the same exchanges to both.
func TestSASLAnswersAreThoseOfApacheKafka(t *testing.T) {
	sasl := peers.FreeAddr(t)
	kafka := peers.Kafka(t, peers.KafkaProperties(
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		`listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice's";`,
		`listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
		`listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
	), peers.KafkaListener("SASL", sasl))
	n := startNode(t, t.TempDir(), secureConfig(t, authority.New(t, "test")))
	ours, _ := n.ListenerAddr("SASL_PLAINTEXT")
	users := scramSteps()
	for i, step := range users {
		got := dial(t, n).exchange(step)
		want := askKafka(t, kafka.Bootstrap, step, got)
		if want != got {
			t.Errorf("users, step %d, %s\nKafka %s\nours  %s", i, step.name, want, got)
		}
	}
	alice := comparedStep{name: "alice", req: &kmsg.AlterUserSCRAMCredentialsRequest{Upsertions: []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
		{Name: "alice", Mechanism: 2, Iterations: 4096, Salt: []byte("salt"), SaltedPassword: make([]byte, 64)},
	}}}
	dialRaw(t, kafka.Bootstrap).exchange(alice)
	for name, steps := range saslOrders() {
		t.Run(name, func(t *testing.T) {
			want, got := conversation(t, sasl, steps), conversation(t, ours, steps)
			for i := range steps {
				if want[i] != got[i] {
					t.Errorf("step %d, %s\nKafka %s\nours  %s", i, steps[i].name, want[i], got[i])
				}
			}
		})
	}
	token := "\x00alice\x00alice's"
	raw := append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
	for _, addr := range []string{sasl, ours} {
		c := dialRaw(t, addr)
		ask[*kmsg.SASLHandshakeResponse](c, 0, handshakeRequest("PLAIN"))
		c.send(raw)
		if answer := c.receive(); len(answer) != 0 {
			t.Errorf("%s: raw token answered with %x", addr, answer)
		}
		ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
	}
}

// scramSteps change and describe users by a plaintext listener.
func scramSteps() []comparedStep {
	var steps []comparedStep
	alter := func(name string, deletions []kmsg.AlterUserSCRAMCredentialsRequestDeletion, upsertions ...kmsg.AlterUserSCRAMCredentialsRequestUpsertion) {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		req.Deletions, req.Upsertions = deletions, upsertions
		steps = append(steps, comparedStep{name: name, req: req})
	}
	set := func(user string, mechanism int8, iterations int32) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
		return kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: user, Mechanism: mechanism, Iterations: iterations, Salt: []byte("salt"), SaltedPassword: make([]byte, 32)}
	}
	remove := func(user string, mechanism int8) []kmsg.AlterUserSCRAMCredentialsRequestDeletion {
		return []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: user, Mechanism: mechanism}}
	}
	describe := func(name string, users ...string) {
		req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		for _, u := range users {
			req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: u})
		}
		steps = append(steps, comparedStep{name: name, req: req})
	}
	alter("few iterations", nil, set("carol", 1, 4095))
	alter("many iterations", nil, set("carol", 2, 16385))
	alter("no name", nil, set("", 1, 4096))
	alter("unknown mechanism", nil, set("carol", 3, 4096))
	alter("mechanism 0", nil, set("carol", 0, 4096))
	alter("same user twice", nil, set("carol", 1, 4096), set("carol", 2, 4096))
	alter("same user three times", nil, set("carol", 1, 4096), set("carol", 1, 4096), set("carol", 1, 4096))
	alter("remove what is not there", remove("carol", 1))
	alter("remove what is not there and set", remove("carol", 1), set("carol", 1, 4096))
	describe("nobody", "carol")
	alter("set", nil, set("carol", 1, 4096))
	alter("set the other", nil, set("carol", 2, 16384))
	alter("remove and set", remove("carol", 1), set("carol", 1, 4096))
	alter("remove with an unknown mechanism", remove("carol", 9))
	describe("one", "carol")
	steps[len(steps)-1].mask = []string{"CredentialInfos"} // Kafka has them in no order
	describe("twice", "carol", "carol")
	alter("remove", remove("carol", 1))
	describe("one again", "carol")
	alter("nothing", nil)
	return steps
}

// conversation sends steps on one connection and returns the answers, "closed" from
// where there is none.
func conversation(t *testing.T, addr string, steps []comparedStep) []string {
	t.Helper()
	c := dialRaw(t, addr)
	out := make([]string, len(steps))
	for i, step := range steps {
		out[i] = "closed"
		if i > 0 && out[i-1] == "closed" {
			continue
		}
		if _, err := c.Write(frameOf(step.version, 1, step.req)); err != nil {
			continue
		}
		head, err := c.peek()
		if err != nil {
			continue
		}
		out[i] = c.decode(step, head)
	}
	return out
}

// peek returns the next response, or why there is none.
func (c *rawConn) peek() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}
