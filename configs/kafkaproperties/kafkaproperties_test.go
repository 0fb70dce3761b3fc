package kafkaproperties

import (
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
)

var rewrite = flag.Bool("rewrite", false, "write the table in docs/broker.md anew")

func TestParseFollowsJava(t *testing.T) {
	content := "# comment\\\n! another\n\n  a=1\nb : 2\nc 3\nd\ne = \nf\\=g\\:h=x=y:z\n" +
		"long=one,\\\n    two,\\\\\\\n\tthree\neven=back\\\\\nnext=1\nu=\\u00e9\\t\\q\\ud83d\\ude00\na=again\nlast=\\"
	f, err := Parse("f", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{"a", "1", 4},
		{"b", "2", 5},
		{"c", "3", 6},
		{"d", "", 7},
		{"e", "", 8},
		{"f=g:h", "x=y:z", 9},
		{"long", "one,two,\\three", 10},
		{"even", "back\\", 13},
		{"next", "1", 14},
		{"u", "é\tq😀", 15},
		{"a", "again", 16},
		{"last", "", 17},
	}
	if !reflect.DeepEqual(f.Entries, want) {
		t.Errorf("got  %+v\nwant %+v", f.Entries, want)
	}
	if e, ok := f.Get("a"); !ok || e.Value != "again" {
		t.Errorf("the last one counts, got %+v", e)
	}
	if _, err := Parse("f", []byte("ok=1\nbad=\\u12")); err == nil || err.Error() != `f:2:1: \u must be followed by four hexadecimal digits` {
		t.Errorf("bad escape: %v", err)
	}
}

func read(t *testing.T, content string) (configs.Broker, *Result, error) {
	t.Helper()
	f, err := Parse("server.properties", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return f.Broker(configs.Default().Broker)
}

const single = `process.roles=broker,controller
node.id=3
controller.quorum.voters=3@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093,IN://127.0.0.1:0
advertised.listeners=PLAINTEXT://kafka:9092,CONTROLLER://kafka:9093,IN://10.0.0.1:19092
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,IN:PLAINTEXT
inter.broker.listener.name=IN
controller.listener.names=CONTROLLER
log.dirs=/data/kafka
`

func TestTheFileOfOneNode(t *testing.T) {
	b, result, err := read(t, single+`num.partitions=5
num.network.threads=3
log.retention.ms=60000
log.retention.hours=168
log.retention.bytes=1000
log.roll.hours=2
group.initial.rebalance.delay.ms=0
min.insync.replicas=1
log.cleanup.policy=compact,delete
log.cleaner.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:CN=node,OU=x
some.new.key=1
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []configs.Listener{{Name: "PLAINTEXT", Listen: ":9092", Advertised: "kafka:9092"}, {Name: "IN", Listen: "127.0.0.1:0", Advertised: "10.0.0.1:19092"}}
	for i := range want {
		want[i].TLS = configs.ListenerTLS{ClientAuth: "none", MinVersion: "1.2"}
	}
	if !reflect.DeepEqual(b.Listeners, want) || b.InterBrokerListener != "IN" {
		t.Errorf("listeners %+v, own %s", b.Listeners, b.InterBrokerListener)
	}
	if b.NodeID != 3 || b.DefaultPartitions != 5 || b.RetentionTime.D() != time.Minute || b.RetentionSize != 1000 || b.SegmentTime.D() != 2*time.Hour ||
		b.GroupInitialRebalanceDelay != 0 || b.Cleaner.Threads != 0 {
		t.Errorf("broker %+v", b)
	}
	if !b.Authorizer.Enabled || !slices.Equal(b.Authorizer.SuperUsers, []string{"User:admin", "User:CN=node,OU=x"}) {
		t.Errorf("authorizer %+v", b.Authorizer)
	}
	if !reflect.DeepEqual(b.Configs, map[string]string{"min.insync.replicas": "1", "log.cleanup.policy": "compact,delete"}) {
		t.Errorf("configs %v", b.Configs)
	}
	if result.LogDir != "/data/kafka" || !slices.Equal(result.Ignored, []string{"num.network.threads", "some.new.key"}) {
		t.Errorf("result %+v", result)
	}
}

func TestListenersWithTLSAndSASL(t *testing.T) {
	b, result, err := read(t, `node.id=1
listeners=S://:9093,U://:9094
listener.security.protocol.map=S:SSL,U:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location=/etc/node.pem
ssl.truststore.type=PEM
ssl.truststore.location=/etc/ca.pem
ssl.client.auth=none
listener.name.s.ssl.client.auth=required
ssl.enabled.protocols=TLSv1.3
listener.name.u.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.u.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="admin" password="x" user_admin="x" user_bob="b\\"o;b";
security.inter.broker.protocol=SASL_SSL
`)
	if err != nil {
		t.Fatal(err)
	}
	tls := configs.ListenerTLS{CertFile: "/etc/node.pem", KeyFile: "/etc/node.pem", ClientCAFile: "/etc/ca.pem", ClientAuth: "required", MinVersion: "1.3"}
	if len(b.Listeners) != 2 || b.Listeners[0].TLS != tls || b.Listeners[1].TLS.ClientAuth != "none" || b.Listeners[0].SASL.Enabled() {
		t.Errorf("listeners %+v", b.Listeners)
	}
	users := []configs.User{{Name: "admin", Password: "x"}, {Name: "bob", Password: `b"o;b`}}
	if got := b.Listeners[1].SASL; !slices.Equal(got.Mechanisms, []string{"PLAIN", "SCRAM-SHA-512"}) || !reflect.DeepEqual(got.Users, users) {
		t.Errorf("sasl %+v", got)
	}
	if b.InterBrokerListener != "U" || len(result.Ignored) != 0 || result.LogDir != "/tmp/kafka-logs" {
		t.Errorf("own listener %s, %+v", b.InterBrokerListener, result)
	}
}

// TestClientCertificatesOfSASLListeners: as in Kafka, clients that log in show a certificate
// only where the listener's own key says so; ssl.client.auth alone is for SSL listeners.
func TestClientCertificatesOfSASLListeners(t *testing.T) {
	b, _, err := read(t, `listeners=SSL://:1,SASL_SSL://:2,OWN://:3
listener.security.protocol.map=SSL:SSL,SASL_SSL:SASL_SSL,OWN:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location=/etc/node.pem
ssl.client.auth=required
listener.name.own.ssl.client.auth=requested
sasl.enabled.mechanisms=SCRAM-SHA-512
`)
	if err != nil || len(b.Listeners) != 3 {
		t.Fatalf("%+v, %v", b.Listeners, err)
	}
	for i, want := range []string{"required", "none", "requested"} {
		if got := b.Listeners[i].TLS.ClientAuth; got != want {
			t.Errorf("certificates of clients are %s on listener %s, want %s", got, b.Listeners[i].Name, want)
		}
	}
}

// TestUsersOfAJAASEntry: names and values stand as Java's StreamTokenizer reads them, and a
// value that looks like an option is none.
func TestUsersOfAJAASEntry(t *testing.T) {
	const head = "listeners=SASL_PLAINTEXT://:9092\nsasl.enabled.mechanisms=PLAIN\nplain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
	for name, c := range map[string]struct {
		options string
		want    []configs.User
	}{
		"the broker's own name":   {`username="kafka_user_admin" password="user_x=1" user_admin="x";`, []configs.User{{Name: "admin", Password: "x"}}},
		"single quotes":           {`user_a='it\\'s "so"';`, []configs.User{{Name: "a", Password: `it's "so"`}}},
		"words":                   {`user_a=b-1 user_c.d=e;`, []configs.User{{Name: "a", Password: "b-1"}, {Name: "c.d", Password: "e"}}},
		"blanks":                  {`user_a \t=\n "b" ; user_c="d";`, []configs.User{{Name: "a", Password: "b"}}},
		"quoted names":            {`"user_a b"="c";`, []configs.User{{Name: "a b", Password: "c"}}},
		"escapes":                 {`user_a="\\t\\101\\0\\q";`, []configs.User{{Name: "a", Password: "\tA\x00q"}}},
		"twice":                   {`user_a="1" user_b="2" user_a="3";`, []configs.User{{Name: "b", Password: "2"}, {Name: "a", Password: "3"}}},
		"nobody, who logs in":     {`username="a" password="b";`, nil},
		"no semicolon at the end": {`user_a="b"`, []configs.User{{Name: "a", Password: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, err := read(t, head+c.options)
			if err != nil || len(b.Listeners) != 1 || !slices.Equal(b.Listeners[0].SASL.Users, c.want) {
				t.Errorf("%+v, %v, want the users %v", b.Listeners, err, c.want)
			}
		})
	}
	for name, options := range map[string]string{
		"no end": `user_a="b`, "no value": `user_a=;`, "no name": `user_a="b" ="c";`, "no equals sign": `user_a="b" user_c "d";`, "a name at the end": `user_a="b" user_c`,
	} {
		if _, _, err := read(t, head+options); err == nil || !strings.Contains(err.Error(), ":3:1: plain.sasl.jaas.config") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestListenerNamesInAnyCase: Kafka takes names and protocols in any case, with blanks around them.
func TestListenerNamesInAnyCase(t *testing.T) {
	b, _, err := read(t, `listeners=Clients://127.0.0.1:1, internal://127.0.0.1:2,controller://127.0.0.1:3
advertised.listeners = CLIENTS://a:1 , internal://b:2
listener.security.protocol.map = clients : plaintext , Internal:SASL_plaintext, CONTROLLER:PLAINTEXT
listener.name.internal.sasl.enabled.mechanisms=SCRAM-SHA-512
controller.listener.names=CONTROLLER
inter.broker.listener.name=Internal
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range b.Listeners {
		got = append(got, l.Name+" "+l.Advertised)
	}
	if !slices.Equal(got, []string{"CLIENTS a:1", "INTERNAL b:2"}) || b.InterBrokerListener != "INTERNAL" || !b.Listeners[1].SASL.Enabled() {
		t.Errorf("%q, own %s, %+v", got, b.InterBrokerListener, b.Listeners)
	}
}

func TestContradictionsNameTheirLines(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"two ids":              {"node.id=1\nbroker.id=2", "server.properties:2:1: broker.id is 2, but node.id in line 1 is 1"},
		"several voters":       {"node.id=1\ncontroller.quorum.voters=1@a:1,2@b:1", ":2:1: controller.quorum.voters names 2 nodes"},
		"another controller":   {"node.id=1\n\ncontroller.quorum.voters=2@b:1", ":3:1: controller.quorum.voters names node 2, but node.id in line 1 is 1"},
		"only a controller":    {"process.roles=controller", ":1:1: process.roles is"},
		"several directories":  {"log.dirs=/a,/b", ":1:1: log.dirs names 2 directories"},
		"metadata elsewhere":   {"log.dirs=/a\nmetadata.log.dir=/b", ":2:1: metadata.log.dir is /b"},
		"number":               {"num.partitions=many", `:1:1: num.partitions: "many" is not a whole number`},
		"boolean":              {"auto.create.topics.enable=yes", ":1:1: auto.create.topics.enable"},
		"too large":            {"num.partitions=3000000000", ":1:1: num.partitions"},
		"listener":             {"listeners=PLAINTEXT:9092", ":1:1: listeners: \"PLAINTEXT:9092\" is not of the form"},
		"listener twice":       {"listeners=PLAINTEXT://:1,PLAINTEXT://:2", "two listeners named PLAINTEXT"},
		"no protocol":          {"listeners=OWN://:9092", ":1:1: listeners: OWN has no protocol"},
		"advertised unknown":   {"listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://a:1,X://b:1", ":2:1: advertised.listeners: there is no listener X"},
		"inter broker":         {"inter.broker.listener.name=X", ":1:1: inter.broker.listener.name: there is no listener"},
		"inter broker twice":   {"inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT", ":2:1: security.inter.broker.protocol and"},
		"only controllers":     {"listeners=C://:1\ncontroller.listener.names=C\nlistener.security.protocol.map=C:PLAINTEXT", "names none for clients"},
		"JKS":                  {"listeners=SSL://:1\nssl.keystore.location=/a.jks", ":2:1: ssl.keystore.type is not PEM"},
		"GSSAPI":               {"listeners=SASL_PLAINTEXT://:1\nsasl.enabled.mechanisms=GSSAPI", ":2:1: sasl.enabled.mechanisms: GSSAPI is not one of"},
		"foreign authorizer":   {"authorizer.class.name=com.example.Own", ":1:1: authorizer.class.name"},
		"ZooKeeper":            {"zookeeper.connect=localhost", ":1:1: zookeeper.connect"},
		"all problems at once": {"broker.id=x\nnum.partitions=y", "server.properties:1:1: broker.id: \"x\" is not a whole number\nserver.properties:2:1:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, c.content)
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, new(configs.Errors)) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestTheTableInTheManualIsCurrent: run with -rewrite after a change of the
// configuration's keys.
func TestTheTableInTheManualIsCurrent(t *testing.T) {
	const name, begin, end = "../../docs/broker.md", "<!-- keys: made by configs/kafkaproperties, go test -rewrite -->\n", "<!-- end of keys -->"
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", name)
	}
	want := Table(configs.Default().Broker)
	if *rewrite {
		if err := os.WriteFile(name, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if is != want {
		t.Errorf("the table in %s is not current: go generate ./configs/...", name)
	}
	for _, k := range Keys() {
		if !strings.Contains(want, "`"+k.YAML+"`") || !strings.Contains(want, "`"+k.Name+"`") {
			t.Errorf("%s (%s) is not in the table", k.Name, k.YAML)
		}
	}
}

func TestOverridesCount(t *testing.T) {
	f, err := Parse("f", []byte("num.partitions=1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Override("num.partitions=9"); err != nil {
		t.Fatal(err)
	}
	if b, _, err := f.Broker(configs.Default().Broker); err != nil || b.DefaultPartitions != 9 {
		t.Errorf("%d, %v", b.DefaultPartitions, err)
	}
	if err := f.Override("nothing"); err == nil {
		t.Error("an override without = was taken")
	}
}

func FuzzServerProperties(f *testing.F) {
	f.Add([]byte(single))
	f.Add([]byte("listeners=SASL_SSL://:1\\\n,A://[::1]:2\nplain.sasl.jaas.config=x user_a=\"b\\\"\"\n\\u0041=1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := Parse("f", content)
		if err != nil {
			return
		}
		if _, result, err := p.Broker(configs.Default().Broker); err == nil && result.LogDir == "" {
			t.Error("no log directory and no error")
		}
	})
}
