package pipelines

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
)

// gate is a writer whose requests wait until they are let through.
type gate struct {
	mu      sync.Mutex
	written []int
	open    chan struct{}
	refuse  map[string]bool
}

func (g *gate) Write(ctx context.Context, b *elastic.Batch) (elastic.Result, error) {
	select {
	case <-g.open:
	case <-ctx.Done():
		return elastic.Result{}, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.written = append(g.written, b.Len())
	res := elastic.Result{}
	for i := range b.Len() {
		if g.refuse[b.Item(i).ID] {
			res.Refused = append(res.Refused, elastic.Refusal{Item: b.Item(i), Status: 400, Reason: "no"})
			continue
		}
		res.Created++
	}
	return res, nil
}

func documentAt(offset int64) document {
	return document{index: "i", id: fmt.Sprint(offset), body: []byte(`{"a":1}`), msg: &sarama.ConsumerMessage{Offset: offset}}
}

func limitsOf(count int) configs.ElasticsearchOutput {
	return configs.ElasticsearchOutput{BulkSize: 1 << 20, BulkCount: count, BulkInterval: configs.Duration(100 * time.Millisecond)}
}

func TestBatcherSealsByCountAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		close(g.open)
		b := newBatcher(limitsOf(3), g, nil, newMetrics(nil).of("x"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.run(ctx); close(done) }()
		var marked atomic.Int64
		p := newProgress(marked.Store)
		for offset := range int64(4) {
			if err := b.add(t.Context(), p, documentAt(offset)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := marked.Load(); n != 3 {
			t.Errorf("after a full request %d is marked", n)
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the bubble's time
		synctest.Wait()
		if n := marked.Load(); n != 4 {
			t.Errorf("after the interval %d is marked", n)
		}
		cancel()
		<-done
	})
}

func TestBatcherIsBoundedAndEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		b := newBatcher(limitsOf(2), g, nil, newMetrics(nil).of("x"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.run(ctx); close(done) }()
		var marked atomic.Int64
		p := newProgress(marked.Store)
		caller, endCaller := context.WithCancel(t.Context())
		added := make(chan int64, 100)
		result := make(chan error, 1)
		go func() {
			for offset := range int64(100) {
				if err := b.add(caller, p, documentAt(offset)); err != nil {
					result <- err
					return
				}
				added <- offset
			}
		}()
		synctest.Wait()
		if n := len(added); n != 2*bulksMax {
			t.Errorf("%d documents were taken while nothing is written, want %d", n, 2*bulksMax)
		}
		endCaller()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(g.open)
		synctest.Wait()
		if n := marked.Load(); n != 2*bulksMax {
			t.Errorf("%d is marked", n)
		}
		cancel()
		<-done
	})
}

func TestRefusedDocumentsAreMarkedOnlyAfterTheDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{}), refuse: map[string]bool{"1": true}}
		close(g.open)
		letter := make(chan struct{})
		refused := func(ctx context.Context, r elastic.Refusal) error {
			if r.Ref.(*sarama.ConsumerMessage).Offset != 1 {
				t.Errorf("refused %v", r)
			}
			<-letter
			return nil
		}
		b := newBatcher(limitsOf(2), g, refused, newMetrics(nil).of("x"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.run(ctx); close(done) }()
		var marked atomic.Int64
		p := newProgress(marked.Store)
		for offset := range int64(2) {
			if err := b.add(t.Context(), p, documentAt(offset)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := marked.Load(); n != 0 {
			t.Errorf("%d is marked before the dead letter is stored", n)
		}
		close(letter)
		synctest.Wait()
		if n := marked.Load(); n != 2 {
			t.Errorf("%d is marked after the dead letter is stored", n)
		}
		cancel()
		<-done
	})
}
