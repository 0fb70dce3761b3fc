package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransactionsSurviveAKill kills the node again and again between the
// steps of several producers of transactions. A node that starts from what was left shows what
// was committed, and of what was aborted or still open nothing, once the
// producers have come back.
func TestTransactionsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 2, nil)
	random := rand.New(rand.NewPCG(1, 6))
	producers := make([]*kgo.Client, 3)
	for i := range producers {
		producers[i] = txnClient(t, n, kgo.TransactionalID(fmt.Sprint("tx", i)), kgo.DefaultProduceTopic("t"))
	}
	var committed []string
	open := map[int][]string{}
	for step := range 120 {
		i := random.IntN(len(producers))
		values, begun := open[i]
		switch {
		case !begun:
			if err := producers[i].BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			fallthrough
		case random.IntN(3) > 0:
			v := fmt.Sprintf("%d of %d", step, i)
			if err := producers[i].ProduceSync(t.Context(), kgo.KeyStringRecord(v, v)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			open[i] = append(values, v)
		default:
			commit := random.IntN(2) == 0
			if err := producers[i].EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
			delete(open, i)
			if commit {
				committed = append(committed, values...)
			}
		}
		if step%30 == 29 {
			// Nothing is under way, so the copy is what kill -9 leaves.
			afterKill(t, copyDir(t, dir), len(producers), committed)
		}
	}
	if len(committed) < 20 {
		t.Errorf("only %d records were committed", len(committed))
	}
}

// afterKill lets the producers come back to a node on dir and compares what is
// committed there.
func afterKill(t *testing.T, dir string, producers int, committed []string) {
	t.Helper()
	n := startNode(t, dir, testConfig())
	defer n.stop()
	want := slices.Clone(committed)
	for i := range producers {
		c := txnClient(t, n, kgo.TransactionalID(fmt.Sprint("tx", i)), kgo.DefaultProduceTopic("t"))
		v := fmt.Sprint("back ", i)
		err := c.BeginTransaction()
		if err == nil {
			err = c.ProduceSync(t.Context(), kgo.KeyStringRecord(v, v)).FirstErr()
		}
		if err == nil {
			err = c.EndTransaction(t.Context(), kgo.TryCommit)
		}
		if err != nil {
			t.Fatalf("producer %d after the kill: %v", i, err)
		}
		c.Close()
		want = append(want, v)
	}
	got := readCommitted(t, n, "t", 2)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("after the kill %d records are committed, want %d:\n got %v\nwant %v", len(got), len(want), got, want)
	}
}
