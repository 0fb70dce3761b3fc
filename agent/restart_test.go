package agent_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// TestKafkaRestartsInBetween kills the agent with five batches on their way, which then arrive, and restarts Apache Kafka in
// order: it then remembers only the last of the five, and refuses the others when they come again, with
// OUT_OF_ORDER_SEQUENCE_NUMBER. None may be repeated, none lost.
func TestKafkaRestartsInBetween(t *testing.T) {
	p := newProxy(t)
	kafka := peers.Kafka(t, peers.KafkaProperties("advertised.listeners=PLAINTEXT://"+p.addr()))
	p.to(kafka.Bootstrap)
	r := newRig(t, p.addr())
	r.cfg.BatchMax, r.cfg.Compression = 64<<10, "none"
	spec, err := json.Marshal(childSpec{Dir: r.dir, Bootstrap: p.addr(), Config: r.cfg, Partitions: 1})
	must(t, err)
	agent := &child{t: t, spec: string(spec), dir: r.dir, log: &syncBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(agent.log.String())
		}
	})
	agent.start()
	r.write("first.log", "first\n")
	newReader(t, p.addr(), r.topic).next(1)
	_, next := pendingPlans(t, r.dir, 0)
	p.mute.Store(true)
	const lines = 20_000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "line %d %s\n", i, padding)
	}
	r.write("x.log", text.String())
	eventually(t, 60*time.Second, "five batches are unacknowledged", func() bool {
		pending, _ := pendingPlans(t, r.dir, next)
		return pending == 5
	})
	eventually(t, 60*time.Second, "they arrive", func() bool { return p.sent.Load() > 3*64<<10 })
	if n := agent.kill(); n != 5 {
		t.Fatalf("%d batches are unacknowledged", n)
	}
	p.mute.Store(false)
	before := newReader(t, p.addr(), r.topic)
	before.next(300) // one batch is what Kafka remembers
	arrived := 300 + len(before.quiet(2*time.Second))
	t.Logf("%d lines arrived before the restart", arrived)
	must(t, syscall.Kill(kafka.Pid(), syscall.SIGTERM))
	eventually(t, 2*time.Minute, "Kafka ends", func() bool {
		c, err := net.DialTimeout("tcp", kafka.Bootstrap, time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil && syscall.Kill(kafka.Pid(), 0) != nil
	})
	kafka.Start()
	agent.start()
	all := newReader(t, p.addr(), r.topic)
	got := map[string]int{}
	for _, l := range all.next(lines + 1) {
		got[l.value]++
	}
	nothingMore(t, all, 2*time.Second)
	if len(got) != lines+1 {
		t.Fatalf("%d different lines of %d", len(got), lines+1)
	}
	if strings.Contains(agent.log.String(), "new producer id") {
		t.Error("a new producer id was taken although the cluster had the batches")
	}
	must(t, agent.cmd.Process.Signal(syscall.SIGTERM))
	if err := agent.cmd.Wait(); err != nil {
		t.Errorf("the agent did not end in order: %v", err)
	}
}

// proxy stands between clients and a broker. While it is muted, requests go through and answers do not.
type proxy struct {
	t        *testing.T
	listener net.Listener
	mute     atomic.Bool
	sent     atomic.Int64 // bytes that went to the broker while muted
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{t: t, listener: l}
	t.Cleanup(func() { l.Close() })
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) to(broker string) {
	go func() {
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", broker)
			if err != nil {
				client.Close()
				continue
			}
			go p.forward(client, server, true)
			go p.forward(server, client, false)
		}
	}()
}

func (p *proxy) forward(from, to net.Conn, requests bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if p.mute.Load() {
			if !requests {
				continue
			}
			p.sent.Add(int64(n))
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
