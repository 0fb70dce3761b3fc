package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/quota"
	"github.com/millrace/millrace/configs"
)

// served reports whether a new connection is answered.
func served(t *testing.T, n *testNode, listener string) (*rawConn, bool) {
	t.Helper()
	addr, ok := n.ListenerAddr(listener)
	if !ok {
		t.Fatalf("no listener %s", listener)
	}
	c := dialRaw(t, addr)
	if _, err := c.Write(frameOf(4, 1, &kmsg.ApiVersionsRequest{ClientSoftwareName: "t", ClientSoftwareVersion: "1"})); err != nil {
		return c, false
	}
	head := make([]byte, 4)
	_, err := io.ReadFull(c, head)
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, binary.BigEndian.Uint32(head)))
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return c, err == nil
}

func TestConnectionsOfOneAddressAreLimited(t *testing.T) {
	cfg := testConfig()
	cfg.ConnectionsMaxPerIP = 2
	n := startNode(t, t.TempDir(), cfg)
	first, ok := served(t, n, "PLAINTEXT")
	_, second := served(t, n, "PLAINTEXT")
	_, third := served(t, n, "PLAINTEXT")
	if !ok || !second || third {
		t.Fatalf("of three connections are served %v, %v, %v", ok, second, third)
	}
	first.Close()
	for deadline := time.Now().Add(60 * time.Second); ; {
		if _, again := served(t, n, "PLAINTEXT"); again {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not given again")
		}
	}
}

func TestSingleAddressesHaveOtherLimits(t *testing.T) {
	cfg := testConfig()
	cfg.ConnectionsMaxPerIP, cfg.ConnectionsMaxPerIPOverrides = 1, []string{"127.0.0.1:3", "[::1]:0"}
	n := startNode(t, t.TempDir(), cfg)
	for i := range 4 {
		if _, ok := served(t, n, "PLAINTEXT"); ok != (i < 3) {
			t.Errorf("connection %d is served: %v", i+1, ok)
		}
	}
	for _, bad := range []string{"127.0.0.1", "host:1", "127.0.0.1:x", "127.0.0.1:-1"} {
		if _, err := connectionOverrides([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestConnectionsOfOneListenerAreLimited(t *testing.T) {
	cfg := testConfig()
	cfg.Listeners = []configs.Listener{{Name: "A", Listen: "127.0.0.1:0", ConnectionsMax: 1}, {Name: "B", Listen: "127.0.0.1:0"}}
	n := startNode(t, t.TempDir(), cfg)
	_, first := served(t, n, "A")
	_, second := served(t, n, "A")
	_, other := served(t, n, "B")
	if !first || second || !other {
		t.Errorf("served are %v, %v, and at the other listener %v", first, second, other)
	}
}

// TestConnectionsThatComeTooFastAreHeld: they are closed when their client may try
// again (KIP-612); those that are open stay so.
func TestConnectionsThatComeTooFastAreHeld(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	open, _ := served(t, n, "PLAINTEXT")
	setQuota(t, n, "ip", "127.0.0.1", quota.ConnectionCreationRate, 1)
	begin := time.Now()
	start, taken := begin, 0
	for ; ; taken++ {
		start = time.Now()
		if _, ok := served(t, n, "PLAINTEXT"); !ok {
			break
		}
		if start.Sub(begin) > time.Minute {
			t.Fatalf("none of %d connections is held", taken)
		}
	}
	// While they came, there was time for more of them.
	before, held := start.Sub(begin), time.Since(start)
	if before < quota.Window && held < 20*time.Millisecond || held > 30*time.Second {
		t.Errorf("held for %s", held)
	}
	if most := quota.Windows + int(before/quota.Window); taken < quota.Windows-2 || taken > most {
		t.Errorf("%d connections within %s, want %d to %d", taken, before, quota.Windows-2, most)
	}
	open.exchange(comparedStep{version: 12, req: kmsg.NewPtrMetadataRequest()})
}
