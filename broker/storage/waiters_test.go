package storage

import (
	"context"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestWhatIsConfirmedCanBeRead: whoever is told that a record is durable
// finds it below the high watermark and the last stable offset.
func TestWhatIsConfirmedCanBeRead(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	l, err := s.CreateLog(tp0, [16]byte{1}, DefaultLogConfig(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				end := l.FlushedEnd()
				if err := l.WaitFlushed(t.Context(), end-1); err != nil {
					t.Errorf("offset %d: %v", end-1, err)
					return
				}
				if hw, stable := l.HighWatermark(), l.LastStableOffset(); hw < end || stable < end {
					t.Errorf("everything before %d is confirmed, the high watermark is %d, stable is %d", end, hw, stable)
					return
				}
			}
		})
	}
	for range 3000 {
		res := mustAppend(t, l, mustBuild(t, batch.Options{}, batch.Record{Timestamp: clock.Now().UnixMilli(), Value: []byte("v")}))
		mustFlush(t, l, res.LastOffset)
	}
	cancel()
	wg.Wait()
}
