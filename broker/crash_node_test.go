package broker

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/transactions"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/vfs"
)

// TestANodeKeepsItsPromisesThroughCrashes lets the machine under a node lose power
// again and again, at changes of the disk that a seed chooses, while clients of all kinds are at
// work. What is left is opened twice: by a node that is asked whether every promise was
// kept, and by one that the clients, which know of no crash, go on with.
//
// MILLRACE_CRASHES is the number of crashes, MILLRACE_CRASH_SEED where they begin.
func TestANodeKeepsItsPromisesThroughCrashes(t *testing.T) {
	crashes, seed := fromEnvironment(t, "MILLRACE_CRASHES", 4), fromEnvironment(t, "MILLRACE_CRASH_SEED", 1)
	t.Logf("%d crashes, seed %d", crashes, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 7))
	produce, stopProducing := context.WithCancel(t.Context())
	consume, stopConsuming := context.WithCancel(t.Context())
	life, die := context.WithCancel(t.Context())
	load := &crashLoad{t: t, net: &cutNet{}, ledger: newLedger(), seed: uint64(seed), produce: produce, consume: consume, life: life}
	defer func() {
		die()
		stopProducing()
		stopConsuming()
		load.all.Wait()
	}()
	disk := vfs.NewMem(nil)
	makeCrashTopics(t, disk)
	load.start()
	for i := range crashes {
		mode := []vfs.CrashMode{vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashProcess}[i%3]
		changes := 50 + random.IntN(1500)
		disk = crashOnce(t, load, disk, mode, random.Uint64(), changes)
		if t.Failed() {
			t.Fatalf("crash %d, mode %d, after %d changes, seed %d", i, mode, changes, seed)
		}
	}
	n := startOn(t, disk)
	load.net.lead(n.Addr())
	stopProducing()
	load.producing.Wait()
	check := newCrashCheck(t, n, load.ledger)
	check.until("everything is copied", func() error { return check.copiedAll() })
	stopConsuming()
	load.all.Wait()
	check.promised, check.asked = load.ledger.now(), load.ledger.now()
	check.run()
	check.until("the topic is compacted", check.compacted)
	f := load.ledger.now()
	t.Logf("%d records, %d transactions, %d objects", len(f.records), len(f.transactions), len(f.objects))
}

func fromEnvironment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func crashNodeConfig() configs.Broker {
	cfg := closedConfig()
	cfg.Authorizer.SuperUsers = []string{anonymous}
	cfg.OffsetsPartitions, cfg.TransactionsPartitions = 2, 2
	cfg.Cleaner.Backoff = configs.Duration(20 * time.Millisecond)
	cfg.GroupSessionTimeoutMin = configs.Duration(time.Second)
	cfg.GroupInitialRebalanceDelay = 0
	cfg.GroupConsumerSessionTimeoutMin = configs.Duration(time.Second)
	cfg.GroupConsumerSessionTimeout = configs.Duration(2 * time.Second)
	cfg.GroupConsumerHeartbeatIntervalMin = configs.Duration(50 * time.Millisecond)
	cfg.GroupConsumerHeartbeatInterval = configs.Duration(50 * time.Millisecond)
	return cfg
}

// startOn runs a node on a disk until the test ends.
func startOn(t *testing.T, disk vfs.FS) *testNode {
	t.Helper()
	return startNodeWith(t, crashNodeConfig(), Options{Dir: "/data", FS: disk})
}

// makeCrashTopics makes the topics of the load, in small segments that are compacted soon,
// those of the coordinators too.
func makeCrashTopics(t *testing.T, disk vfs.FS) {
	t.Helper()
	n := startOn(t, disk)
	defer n.stop()
	small := func(more ...string) map[string]*string {
		all := map[string]*string{"internal.segment.bytes": new("8192"), "file.delete.delay.ms": new("100")}
		for _, name := range more {
			all[name] = map[string]*string{"cleanup.policy": new("compact"), "min.cleanable.dirty.ratio": new("0.01")}[name]
		}
		return all
	}
	for _, topic := range []string{crashPlain, crashCopy, crashTx} {
		createTopic(t, n, topic, crashPartitions, small())
	}
	createTopic(t, n, crashKeyed, 1, small("cleanup.policy", "min.cleanable.dirty.ratio"))
	check := newCrashCheck(t, n, newLedger())
	check.abortOpen() // makes the topics of both coordinators
	check.committed(crashCopyGroup)
	admin := kadm.NewClient(check.c)
	for _, topic := range []string{offsetsTopic, transactions.Topic} {
		resp, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{
			{Name: "internal.segment.bytes", Value: new("8192")}, {Name: "min.cleanable.dirty.ratio", Value: new("0.01")},
		}, topic)
		if err == nil {
			err = resp[0].Err
		}
		if err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
	}
}

// crashOnce lets the load work on a disk until its machine dies, checks what is
// left, and returns it.
func crashOnce(t *testing.T, load *crashLoad, mem *vfs.Mem, mode vfs.CrashMode, seed uint64, changes int) *vfs.Mem {
	t.Helper()
	var promised, asked facts
	disk := newDoomedDisk(mem, mode, seed, changes, func() { promised = load.ledger.now() }, func() { asked = load.ledger.now() })
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := &logBuffer{}
	go func() {
		n, err := New(crashNodeConfig(), Options{Dir: "/data", FS: disk, Logger: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			load.net.lead(n.Addr())
			err = n.Run(ctx)
		}
		ended <- err
	}()
	select {
	case <-disk.crashed:
	case err := <-ended:
		t.Fatalf("the node ended before its machine: %v\n%s", err, log)
	case <-time.After(2 * time.Minute):
		t.Fatalf("the load makes no changes any more: %d are left until the crash\n%s", disk.left, log)
	}
	load.net.lead("")
	disk.bury()
	cancel()
	select {
	case <-ended: // with whatever a dead disk makes of it
	case <-time.After(time.Minute):
		t.Fatal("a node on a dead disk does not end")
	}
	n := startOn(t, disk.found.Crash(vfs.CrashProcess, nil))
	defer n.stop()
	check := newCrashCheck(t, n, load.ledger)
	check.promised, check.asked = promised, asked
	check.run()
	return disk.found
}

func newCrashCheck(t *testing.T, n *testNode, l *ledger) *crashCheck {
	return &crashCheck{t: t, promised: l.now(), asked: l.now(), c: newClient(t, n, kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond))}
}

// copiedAll waits for the copier.
func (k *crashCheck) copiedAll() error {
	ends, err := kadm.NewClient(k.c).ListEndOffsets(k.t.Context(), crashPlain)
	if err != nil {
		return err
	}
	offsets := k.committed(crashCopyGroup)
	for p := range int32(crashPartitions) {
		if end, _ := ends.Lookup(crashPlain, p); end.Offset != offsets[p] {
			return fmt.Errorf("partition %d: %d of %d", p, offsets[p], end.Offset)
		}
	}
	return nil
}

// compacted: of the records under a few keys most are gone.
func (k *crashCheck) compacted() error {
	var sent int64
	for _, s := range k.asked.keyed {
		sent = max(sent, s.sent)
	}
	if left := len(k.read(crashKeyed)); int64(left) > sent/2 {
		return fmt.Errorf("%d of %d records are left", left, sent)
	}
	return nil
}
