package broker

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs"
)

// rawConn speaks the protocol without a client library in between.
type rawConn struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, n *testNode) *rawConn {
	t.Helper()
	return dialRaw(t, n.Addr())
}

func dialRaw(t testing.TB, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	raw := &rawConn{c, t}
	raw.extend()
	return raw
}

// extend gives whatever comes next another minute.
func (c *rawConn) extend() {
	c.t.Helper()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
}

func frameOf(version int16, correlation int32, req kmsg.Request) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw")).AppendRequest(nil, req, correlation)
}

func (c *rawConn) send(b []byte) {
	c.t.Helper()
	c.extend()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the next response, from its correlation id on.
func (c *rawConn) receive() []byte {
	c.t.Helper()
	c.extend()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

// expectClosed waits until the node has closed the connection.
func (c *rawConn) expectClosed(what string) {
	c.t.Helper()
	b, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || len(b) > 0 {
		c.t.Errorf("%s: connection not closed: %d bytes, %v", what, len(b), err)
	}
}

func TestHostileFramesCloseTheirConnectionAndNothingElse(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	size := func(size int32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(size)), rest...)
	}
	header := func(key, version int16, body ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		b = append(b, 0, 0, 0, 1, 0xff, 0xff)
		b = append(b, body...)
		return size(int32(len(b)), b...)
	}
	random := make([]byte, 4096)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(random)
	badRecords := frameOf(13, 1, produceRequest("t", 1, []byte("x")))
	binary.BigEndian.PutUint32(badRecords, uint32(len(badRecords)-4-3))
	tests := map[string][]byte{
		"negative size":                  size(-1),
		"size of two gigabytes":          size(1<<31 - 1),
		"size beyond request_max":        size(100<<20+1, 0, 0, 0, 13),
		"size without a header":          size(4, 0, 3, 0, 0),
		"text":                           []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"random":                         random,
		"unknown API":                    header(99, 0),
		"negative API":                   header(-1, 0),
		"version too new":                header(3, 99),
		"negative version":               header(3, -1),
		"fetch before record batches":    header(1, 3),
		"array of two billion":           header(3, 0, 0x7f, 0xff, 0xff, 0xff),
		"tags of four billion":           header(3, 12, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"cut in the middle of a field":   header(2, 1, 0, 0),
		"client id beyond the end":       size(10, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff),
		"metadata of 50 MiB":             size(50<<20, 0, 3, 0, 0, 0, 0, 0, 1),
		"produce that ends in a record":  badRecords,
		"JoinGroup with a bad array":     header(11, 0, 0, 1, 'g', 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0, 0, 0),
		"ApiVersions with a bad version": header(18, -5),
	}
	for name, frame := range tests {
		t.Run(name, func(t *testing.T) {
			before := n.log.count("connection closed")
			c := dial(t, n)
			c.send(frame)
			c.expectClosed(name)
			if lines := n.log.count("connection closed") - before; lines > 1 {
				t.Errorf("%d log lines", lines)
			}
		})
	}
	// The lines are limited per address; the first one is there.
	if n.log.count("connection closed") == 0 {
		t.Error("no log line")
	}
	if err := newClient(t, n).Ping(t.Context()); err != nil {
		t.Errorf("the node is gone: %v", err)
	}
	awaitUsed(t, n, 0)
}

func TestATruncatedFrameIsOneLogLine(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	c := dial(t, n)
	frame := frameOf(0, 1, kmsg.NewPtrMetadataRequest())
	c.send(frame[:len(frame)-2])
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.expectClosed("truncated")
	if got := n.log.count("the connection ended in the middle of a frame"); got != 1 {
		t.Errorf("%d log lines:\n%s", got, n.log)
	}
}

// TestMemoryStaysBoundedUnderFramesThatClaimMuch sends headers of large frames
// and little else, on many connections.
func TestMemoryStaysBoundedUnderFramesThatClaimMuch(t *testing.T) {
	cfg := testConfig()
	cfg.RequestMax, cfg.RequestMemory = 8<<20, 16<<20
	n := startNode(t, t.TempDir(), cfg)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	claim := append(binary.BigEndian.AppendUint32(nil, 8<<20), 0, 0, 0, 13, 0, 0, 0, 1, 0xff, 0xff)
	var conns []*rawConn
	for range 50 {
		c := dial(t, n)
		c.send(claim)
		conns = append(conns, c)
	}
	awaitUsed(t, n, 16<<20)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 40<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	for _, c := range conns {
		c.Close()
	}
	awaitUsed(t, n, 0)
	if err := newClient(t, n).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func awaitUsed(t *testing.T, n *testNode, want int64) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(60 * time.Second)
	for n.budget.Used() != want {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are reserved, want %d", n.budget.Used(), want)
		}
		<-ticker.C
	}
}

func TestApiVersionsOfATooNewVersionFallsBack(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	c := dial(t, n)
	frame := frameOf(4, 7, kmsg.NewPtrApiVersionsRequest())
	binary.BigEndian.PutUint16(frame[6:], 99)
	c.send(frame)
	want := []byte{0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4}
	if got := c.receive(); !bytes.Equal(got, want) {
		t.Errorf("fallback is %x, want %x", got, want)
	}
	c.send(frameOf(0, 8, kmsg.NewPtrApiVersionsRequest()))
	if got := c.receive(); got[3] != 8 || got[5] != 0 {
		t.Errorf("the connection does not go on: %x", got)
	}
}

func TestApiVersionsAdvertisesWhatIsAnswered(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	c := newClient(t, n)
	for version := int16(0); version <= 4; version++ {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
		resp := request[*kmsg.ApiVersionsResponse](t, c, version, req)
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(n.apis()) {
			t.Fatalf("v%d: %+v", version, resp)
		}
	}
	bad := kmsg.NewPtrApiVersionsRequest()
	bad.ClientSoftwareName, bad.ClientSoftwareVersion = "not valid", "1"
	if got := request[*kmsg.ApiVersionsResponse](t, c, 4, bad); got.ErrorCode != kerr.InvalidRequest.Code {
		t.Errorf("software name: %+v", got)
	}
	// Every version of every API is answered with a body that its schema can read.
	for _, a := range n.apis() {
		for version := a.Min; version <= a.Max; version++ {
			req := kmsg.RequestForKey(a.Key)
			if v, ok := req.(*kmsg.ApiVersionsRequest); ok {
				v.ClientSoftwareName, v.ClientSoftwareVersion = "a", "b"
			}
			if v, ok := req.(*kmsg.ProduceRequest); ok {
				v.Acks = 1
			}
			if v, ok := req.(*kmsg.DescribeACLsRequest); ok { // what is not known closes the connection
				v.ResourceType, v.ResourcePatternType, v.Operation, v.PermissionType = 1, 1, 1, 1
			}
			raw := dial(t, n)
			raw.send(frameOf(version, 1, req))
			resp := req.ResponseKind()
			resp.SetVersion(version)
			body := raw.receive()[4:]
			if resp.IsFlexible() && a.Key != 18 {
				body = body[1:]
			}
			if err := resp.ReadFrom(body); err != nil {
				t.Errorf("%s v%d: %v", kmsg.NameForKey(a.Key), version, err)
			}
			again := resp.AppendTo(nil)
			if len(again) > len(body) {
				t.Errorf("%s v%d: %x", kmsg.NameForKey(a.Key), version, body)
			}
			raw.Close()
		}
	}
}

func TestResponsesComeInTheOrderOfTheRequests(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := dial(t, n)
	// A long poll that only the produce after it ends, then many of all kinds.
	var frames []byte
	correlation := int32(0)
	add := func(version int16, req kmsg.Request) {
		frames = append(frames, frameOf(version, correlation, req)...)
		correlation++
	}
	records := buildBatch(t, nil, "v")
	add(12, fetchRequest(n, "t", 0, 20*time.Second, 1))
	for range 10 {
		frames = append(frames, frameOf(9, -1, produceRequest("t", 0, records))...) // not answered
		add(9, produceRequest("t", -1, records))
		add(9, kmsg.NewPtrMetadataRequest())
		add(9, produceRequest("t", 1, records))
	}
	go c.Write(frames)
	for want := range correlation {
		if got := int32(binary.BigEndian.Uint32(c.receive())); got != want {
			t.Fatalf("response %d in the place of %d", got, want)
		}
	}
	if end := n.topics.byName("t").logs[0].LogEnd(); end != 30 {
		t.Errorf("log end is %d", end)
	}
}

func TestAnErrorUnderAcksZeroClosesTheConnection(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	c := dial(t, n)
	c.send(frameOf(9, 1, produceRequest("none", 0, buildBatch(t, nil, "v"))))
	c.expectClosed("acks=0")
}

func TestMoreRequestsThanMayBeInFlightAreAllAnswered(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	c := dial(t, n)
	var frames []byte
	const count = 1000
	for i := range int32(count) {
		frames = append(frames, frameOf(1, i, kmsg.NewPtrMetadataRequest())...)
	}
	go c.Write(frames)
	for want := range int32(count) {
		if got := int32(binary.BigEndian.Uint32(c.receive())); got != want {
			t.Fatalf("response %d in the place of %d", got, want)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	cfg := testConfig()
	cfg.ConnectionsMax = 2
	n := startNode(t, t.TempDir(), cfg)
	for range 2 {
		c := dial(t, n)
		c.send(frameOf(0, 1, kmsg.NewPtrMetadataRequest()))
		c.receive()
	}
	dial(t, n).expectClosed("third connection")
	if n.log.count("connections_max of 2 is reached") != 1 {
		t.Errorf("log:\n%s", n.log)
	}
}

func TestIdleConnectionsAreClosedButNotThoseThatWait(t *testing.T) {
	cfg := testConfig()
	cfg.IdleTimeout = configs.Duration(150 * time.Millisecond)
	n := startNode(t, t.TempDir(), cfg)
	createTopic(t, n, "t", 1, nil)
	for deadline := time.Now().Add(time.Minute); ; {
		c, start := dial(t, n), time.Now()
		if c.inTime(12, fetchRequest(n, "t", 0, 600*time.Millisecond, 1)) {
			if took := time.Since(start); took < 500*time.Millisecond {
				t.Errorf("answered after %s", took)
			}
			c.expectClosed("idle")
			return
		}
		// On a busy machine the client itself may be idle before its request.
		if time.Now().After(deadline) {
			t.Fatal("every connection is closed while it waits")
		}
	}
}

func TestAClientThatGoesAwayDuringALongPollLeavesNothing(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	before := runtime.NumGoroutine()
	for range 20 {
		c := dial(t, n)
		c.send(frameOf(12, 5, fetchRequest(n, "t", 0, time.Hour, 1)))
		c.send(frameOf(9, 6, produceRequest("none", 1, nil)))
		c.Close()
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(60 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		<-ticker.C
	}
}

func TestClientsAreToldTheAdvertisedAddress(t *testing.T) {
	cfg := testConfig()
	cfg.Advertised = "broker.example:19092"
	n := startNode(t, t.TempDir(), cfg)
	c := newClient(t, n)
	resp, err := c.SeedBrokers()[0].Request(t.Context(), kmsg.NewPtrMetadataRequest())
	if err != nil {
		t.Fatal(err)
	}
	if b := resp.(*kmsg.MetadataResponse).Brokers[0]; b.Host != "broker.example" || b.Port != 19092 {
		t.Errorf("broker %+v", b)
	}
	cfg = testConfig()
	cfg.Listen = "0.0.0.0:0"
	n = startNode(t, t.TempDir(), cfg)
	_, port, err := net.SplitHostPort(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c, err = kgo.NewClient(kgo.SeedBrokers("127.0.0.1:" + port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err = c.SeedBrokers()[0].Request(t.Context(), kmsg.NewPtrMetadataRequest())
	if err != nil {
		t.Fatal(err)
	}
	if b := resp.(*kmsg.MetadataResponse).Brokers[0]; b.Host != "127.0.0.1" {
		t.Errorf("on all addresses, broker %+v", b)
	}
}

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestBodiesThatClientsTripOver compares the bytes of responses in which a null
// where Kafka sends an empty array, or the like, breaks clients and tools.
func TestBodiesThatClientsTripOver(t *testing.T) {
	cfg := testConfig()
	cfg.Advertised = "broker.example:9092"
	n := startNode(t, t.TempDir(), cfg)
	c := dial(t, n)
	var out strings.Builder
	ask := func(name string, version int16, req kmsg.Request) []byte {
		c.send(frameOf(version, 1, req))
		body := c.receive()
		fmt.Fprintf(&out, "%s v%d\n%s\n", name, version, hex.EncodeToString(n.masked(body)))
		return body
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{"bad/name", "t"} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
		create.Topics = append(create.Topics, topic)
	}
	ask("CreateTopics", 7, create)
	ask("Metadata", 13, kmsg.NewPtrMetadataRequest())
	describe := kmsg.NewPtrDescribeTopicPartitionsRequest()
	describe.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "none"}, {Topic: "t"}}
	ask("DescribeTopicPartitions", 0, describe)
	ask("ListPartitionReassignments", 0, kmsg.NewPtrListPartitionReassignmentsRequest())
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "none", Partitions: []int32{0}}, {Topic: "t", Partitions: []int32{0, 1}}, {Topic: "t"}}
	ask("DescribeProducers", 0, producers)
	for _, version := range []int16{4, 11, 12} {
		ask("Fetch empty", version, fetchRequest(n, "t", 0, 0, 1))
	}
	committed := fetchRequest(n, "t", 0, 0, 1)
	committed.IsolationLevel = 1
	ask("Fetch empty, read committed", 12, committed)
	ask("Fetch unknown topic", 12, fetchRequest(n, "none", 0, 0, 1))
	ask("DescribeCluster", 2, kmsg.NewPtrDescribeClusterRequest())
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = 1, []string{"tx"}
	ask("FindCoordinator of a transaction", 6, find)
	config := kmsg.NewPtrDescribeConfigsRequest()
	config.Resources = []kmsg.DescribeConfigsRequestResource{
		{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "none"},
		{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t", ConfigNames: []string{"retention.ms"}},
	}
	ask("DescribeConfigs", 4, config)
	ask("ApiVersions", 3, &kmsg.ApiVersionsRequest{ClientSoftwareName: "a", ClientSoftwareVersion: "b"})
	ask("DeleteTopics of nothing", 6, kmsg.NewPtrDeleteTopicsRequest())
	ask("ListOffsets of nothing", 10, kmsg.NewPtrListOffsetsRequest())

	const golden = "testdata/bodies.golden"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("bodies differ from %s:\n%s", golden, out.String())
	}
}

// masked replaces ids that differ from run to run.
func (n *testNode) masked(body []byte) []byte {
	body = bytes.ReplaceAll(body, []byte(n.ClusterID()), []byte("cluster-cluster-cluste"))
	if s := n.topics.byName("t"); s != nil {
		body = bytes.ReplaceAll(body, s.id[:], []byte("topic-topic-topi"))
	}
	return body
}
