package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/quota"
)

// setQuota sets a limit through kadm; an empty name is the default of its kind.
func setQuota(t testing.TB, n *testNode, kind, name string, key quota.Key, value float64) {
	t.Helper()
	part := kadm.ClientQuotaEntityComponent{Type: kind}
	if name != "" {
		part.Name = &name
	}
	altered, err := newAdmin(t, n).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{part}, Ops: []kadm.AlterClientQuotaOp{{Key: string(key), Value: value}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range altered {
		if a.Err != nil {
			t.Fatalf("%v %s", a.Err, a.ErrMessage)
		}
	}
}

// quotaClient sends requests under a client id of its own, one after the other. One that
// honours throttling is silent for as long as responses say.
type quotaClient struct {
	*rawConn
	id      string
	honours bool
	told    time.Duration
}

func (c *quotaClient) send(version int16, req kmsg.Request) kmsg.Response {
	c.t.Helper()
	req.SetVersion(version)
	c.rawConn.send(kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.id)).AppendRequest(nil, req, 1))
	resp := req.ResponseKind()
	body := c.receive()[4:]
	if resp.IsFlexible() {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		c.t.Fatal(err)
	}
	if told, ok := resp.(kmsg.ThrottleResponse); ok {
		millis, _ := told.Throttle()
		c.told += time.Duration(millis) * time.Millisecond
		if c.honours {
			pause(c.t, time.Duration(millis)*time.Millisecond)
		}
	}
	return resp
}

// pause waits for a time that is itself what is tested, or that another server needs.
func pause(t testing.TB, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// checkRate says whether bytes took as long as a limit wants. What all windows hold
// may come at once; beyond it a client that begins waits until the first windows are over.
func checkRate(t *testing.T, bytes, limit float64, took time.Duration) {
	t.Helper()
	seconds := bytes / limit
	if least, most := seconds-quota.Windows, seconds+1; took.Seconds() < least || took.Seconds() > most {
		t.Errorf("%.0f bytes at %.0f per second took %s, want %.1f s to %.1f s", bytes, limit, took.Round(time.Millisecond), least, most)
	}
}

func quotaClients(t *testing.T, n *testNode, use func(*testing.T, *quotaClient)) {
	for _, honours := range []bool{true, false} {
		t.Run(fmt.Sprintf("honours=%v", honours), func(t *testing.T) {
			t.Parallel()
			use(t, &quotaClient{rawConn: dial(t, n), id: fmt.Sprintf("client-%v", honours), honours: honours})
		})
	}
}

// TestProducersKeepToTheirQuota: a client that honours the throttle time and one that
// does not are as fast as the quota allows, and no faster.
func TestProducersKeepToTheirQuota(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	const limit = 1_000_000
	setQuota(t, n, "client-id", "", quota.ProducerByteRate, limit)
	batch := buildBatch(t, nil, string(make([]byte, 500_000)))
	quotaClients(t, n, func(t *testing.T, c *quotaClient) {
		req := produceRequest("t", 1, batch)
		start, bytes := time.Now(), 0.0
		for bytes < 12.5*limit {
			c.send(12, req)
			bytes += float64(len(frameOf(12, 1, req)))
		}
		c.send(13, kmsg.NewPtrMetadataRequest()) // heard when the last throttle is over
		checkRate(t, bytes, limit, time.Since(start))
		if c.told == 0 {
			t.Error("the client was not told to wait")
		}
	})
}

// TestConsumersKeepToTheirQuota: a response beyond the quota comes at once, and empty.
func TestConsumersKeepToTheirQuota(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	batch := buildBatch(t, nil, string(make([]byte, 500_000)))
	if resp := request[*kmsg.ProduceResponse](t, newClient(t, n), 12, produceRequest("t", 1, batch)); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	const limit = 1_000_000
	setQuota(t, n, "client-id", "", quota.ConsumerByteRate, limit)
	t.Cleanup(func() { awaitUsed(t, n, 0) })
	quotaClients(t, n, func(t *testing.T, c *quotaClient) {
		start, bytes, empty := time.Now(), 0.0, 0
		for bytes < 12.5*limit {
			req := &kmsg.FetchRequest{ReplicaID: -1, SessionEpoch: -1, MaxBytes: 1 << 20, MinBytes: 1, MaxWaitMillis: 1000, Topics: []kmsg.FetchRequestTopic{{
				Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 1 << 20, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1}},
			}}}
			resp := c.send(12, req).(*kmsg.FetchResponse)
			if len(resp.Topics) == 0 {
				empty++
				if resp.ThrottleMillis == 0 || resp.ErrorCode != 0 {
					t.Fatalf("an empty response without a throttle time: %+v", resp)
				}
				continue
			}
			bytes += float64(len(resp.Topics[0].Partitions[0].RecordBatches))
		}
		checkRate(t, bytes, limit, time.Since(start))
		if empty == 0 {
			t.Error("no response was empty")
		}
	})
}

// TestRequestTimeIsLimited: the client is throttled, for a window at most.
func TestRequestTimeIsLimited(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	setQuota(t, n, "user", "ANONYMOUS", quota.RequestPercentage, 0.0001)
	c := &quotaClient{rawConn: dial(t, n), id: "c"}
	for range 1000 {
		if c.send(13, kmsg.NewPtrMetadataRequest()); c.told > 0 {
			if c.told > quota.Window {
				t.Errorf("told to wait for %s", c.told)
			}
			return
		}
	}
	t.Error("1,000 requests took less than ten microseconds")
}

// TestMutationsAreLimited: newer versions are refused, older ones throttled (KIP-599).
func TestMutationsAreLimited(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	setQuota(t, n, "user", "", quota.ControllerMutationRate, 1)
	create := func(version int16, name string) *kmsg.CreateTopicsResponse {
		c := &quotaClient{rawConn: dial(t, n), id: "c"}
		return c.send(version, &kmsg.CreateTopicsRequest{TimeoutMillis: 1000, Topics: []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: 20, ReplicationFactor: 1}}}).(*kmsg.CreateTopicsResponse)
	}
	if resp := create(6, "first"); resp.Topics[0].ErrorCode != 0 || resp.ThrottleMillis != 0 {
		t.Errorf("the first: %+v", resp)
	}
	if resp := create(6, "second"); resp.Topics[0].ErrorCode != kerr.ThrottlingQuotaExceeded.Code || resp.ThrottleMillis < 8000 || n.meta.Image().Topic("second") != nil {
		t.Errorf("the second: %d, throttled for %d ms", resp.Topics[0].ErrorCode, resp.ThrottleMillis)
	}
	if resp := create(5, "third"); resp.Topics[0].ErrorCode != 0 || resp.ThrottleMillis < 28000 || n.meta.Image().Topic("third") == nil {
		t.Errorf("the third: %d, throttled for %d ms", resp.Topics[0].ErrorCode, resp.ThrottleMillis)
	}
}

// TestQuotasAreKept goes through kadm, and over a restart.
func TestQuotasAreKept(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	setQuota(t, n, "user", "alice", quota.ProducerByteRate, 1000)
	setQuota(t, n, "user", "", quota.RequestPercentage, 12.5)
	setQuota(t, n, "ip", "::1", quota.ConnectionCreationRate, 7)
	n.stop()
	n = startNode(t, dir, testConfig())
	described := func(strict bool, components ...kadm.DescribeClientQuotaComponent) string {
		t.Helper()
		all, err := newAdmin(t, n).DescribeClientQuotas(t.Context(), strict, components)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, q := range all {
			out += fmt.Sprintf("%s %v;", q.Entity.String(), q.Values)
		}
		return out
	}
	const alice, anyone = "{user=alice} [producer_byte_rate=1000.000000];", "{user=<default>} [request_percentage=12.500000];"
	exact := kadm.DescribeClientQuotaComponent{Type: "user", MatchName: new("alice"), MatchType: kmsg.QuotasMatchTypeExact}
	if got := described(true, exact); got != alice {
		t.Errorf("alice has %s", got)
	}
	if got := described(false, kadm.DescribeClientQuotaComponent{Type: "user", MatchType: kmsg.QuotasMatchTypeAny}); got != anyone+alice {
		t.Errorf("users have %s", got)
	}
	if got := described(true, kadm.DescribeClientQuotaComponent{Type: "user", MatchType: kmsg.QuotasMatchTypeDefault}); got != anyone {
		t.Errorf("the default is %s", got)
	}
	if got := described(false, kadm.DescribeClientQuotaComponent{Type: "ip", MatchType: kmsg.QuotasMatchTypeAny}); got != "{ip=::1} [connection_creation_rate=7.000000];" {
		t.Errorf("addresses have %s", got)
	}
}

func TestUnsoundQuotasAreRefused(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	type entity = []kmsg.AlterClientQuotasRequestEntryEntity
	user := entity{{Type: "user", Name: new("u")}}
	for name, entry := range map[string]kmsg.AlterClientQuotasRequestEntry{
		"no entity":            {},
		"an unknown kind":      {Entity: entity{{Type: "group", Name: new("g")}}},
		"an empty name":        {Entity: entity{{Type: "user", Name: new("")}}},
		"a kind twice":         {Entity: entity{user[0], user[0]}},
		"an address of a user": {Entity: entity{user[0], {Type: "ip"}}},
		"no address":           {Entity: entity{{Type: "ip", Name: new("no address")}}},
		"an unknown key":       {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "k", Value: 1}}},
		"another kind's key":   {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "connection_creation_rate", Value: 1}}},
		"zero":                 {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 0}}},
		"half a byte":          {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1.5}}},
		"too much":             {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1e19}}},
		"a key twice":          {Entity: user, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1}, {Key: "producer_byte_rate", Value: 2}}},
	} {
		sound := kmsg.AlterClientQuotasRequestEntry{Entity: entity{{Type: "client-id", Name: new(name)}}, Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1}}}
		resp := request[*kmsg.AlterClientQuotasResponse](t, newClient(t, n), 1, &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{entry, sound}})
		if code := resp.Entries[0].ErrorCode; code != kerr.InvalidRequest.Code {
			t.Errorf("%s: %d", name, code)
		}
		if code := resp.Entries[1].ErrorCode; code != 0 {
			t.Errorf("what is right beside %s: %d", name, code)
		}
	}
	if got := len(n.meta.Image().Quotas().Entities()); got != 12 {
		t.Errorf("%d entities have limits", got)
	}
}
