package broker

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs"
)

// dialListener connects to a listener by its name.
func dialListener(t testing.TB, n *testNode, name string) *rawConn {
	t.Helper()
	addr, ok := n.ListenerAddr(name)
	if !ok {
		t.Fatalf("no listener %s", name)
	}
	return dialRaw(t, addr)
}

// ask sends a request of a version and decodes its response.
func ask[Resp kmsg.Response](c *rawConn, version int16, req kmsg.Request) Resp {
	c.t.Helper()
	c.send(frameOf(version, 7, req))
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body := c.receive()[4:]
	if resp.IsFlexible() && resp.Key() != 18 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		c.t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return resp.(Resp)
}

func TestClientsAreToldTheEndpointOfTheirListener(t *testing.T) {
	cfg := testConfig()
	cfg.Listeners = []configs.Listener{
		{Name: "INSIDE", Listen: "127.0.0.1:0"},
		{Name: "OUTSIDE", Listen: "127.0.0.1:0", Advertised: "kafka.example:19092"},
		{Name: "SAME_PORT", Listen: "127.0.0.1:0", Advertised: "other.example:0"},
	}
	cfg.InterBrokerListener = "OUTSIDE"
	n := startNode(t, t.TempDir(), cfg)
	inside, _ := n.ListenerAddr("INSIDE")
	same, _ := n.ListenerAddr("SAME_PORT")
	_, port, err := net.SplitHostPort(same)
	if err != nil {
		t.Fatal(err)
	}
	if own, _ := n.ListenerAddr("OUTSIDE"); n.Addr() != own {
		t.Errorf("own parts connect to %s, want %s", n.Addr(), own)
	}
	for name, want := range map[string]string{"INSIDE": inside, "OUTSIDE": "kafka.example:19092", "SAME_PORT": "other.example:" + port} {
		c := dialListener(t, n, name)
		var told []string
		at := func(host string, port int32) { told = append(told, net.JoinHostPort(host, strconv.Itoa(int(port)))) }
		metadata := ask[*kmsg.MetadataResponse](c, 12, kmsg.NewPtrMetadataRequest())
		at(metadata.Brokers[0].Host, metadata.Brokers[0].Port)
		cluster := kmsg.NewPtrDescribeClusterRequest()
		described := ask[*kmsg.DescribeClusterResponse](c, 1, cluster)
		at(described.Brokers[0].Host, described.Brokers[0].Port)
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKeys = []string{"g"}
		found := ask[*kmsg.FindCoordinatorResponse](c, 4, find)
		at(found.Coordinators[0].Host, found.Coordinators[0].Port)
		if !slices.Equal(told, []string{want, want, want}) {
			t.Errorf("by listener %s clients are told %v, want %s", name, told, want)
		}
	}
}

func TestListenersThatCannotBeAreRefused(t *testing.T) {
	for want, change := range map[string]func(*configs.Broker){
		"name of its own": func(c *configs.Broker) {
			c.Listeners = []configs.Listener{{Name: "A", Listen: "127.0.0.1:0"}, {Name: "A", Listen: "127.0.0.1:0"}}
		},
		"no listener named": func(c *configs.Broker) { c.InterBrokerListener = "B" },
		"listener A": func(c *configs.Broker) {
			c.Listeners = []configs.Listener{{Name: "A", Listen: "256.0.0.1:0"}}
		},
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := New(cfg, Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
