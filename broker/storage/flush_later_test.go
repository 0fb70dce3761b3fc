package storage

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestUnawaitedAppendsAreFlushedLater: what nobody waits for is forced to disk when its time is over,
// when enough of it has gathered, and when somebody begins to wait for it.
func TestUnawaitedAppendsAreFlushedLater(t *testing.T) {
	never := func(*testing.T, *Log) {}
	for name, c := range map[string]struct {
		valueBytes  int
		before      func(*testing.T, *Log) // the append
		after       func(*testing.T, *Log)
		immediately bool
	}{
		"nobody waits":               {1, never, never, false},
		"much has gathered":          {flushLaterBytes, never, never, true},
		"a reader waits already":     {1, func(_ *testing.T, l *Log) { l.AddWaiter(NewSignal()) }, never, true},
		"a reader comes":             {1, never, func(_ *testing.T, l *Log) { l.AddWaiter(NewSignal()) }, true},
		"somebody waits for a flush": {1, never, func(_ *testing.T, l *Log) { l.OnFlushed(l.LogEnd()-1, func(error) {}) }, true},
		"an awaited append follows": {1, never, func(t *testing.T, l *Log) {
			mustAppend(t, l, mustBuild(t, batch.Options{}, batch.Record{Value: []byte("v")}))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := mustOpen(t, testConfig(vfs.NewMem(time.Now), newTestClock()))
				defer mustClose(t, s)
				cfg := DefaultLogConfig()
				cfg.MaxMessageBytes = 2 * flushLaterBytes
				l := mustCreate(t, s, cfg)
				for round := range 2 { // once more when it was postponed before
					c.before(t, l)
					records := mustBuild(t, batch.Options{}, batch.Record{Value: make([]byte, c.valueBytes)})
					if _, err := l.Append(records, AppendOptions{Unawaited: true}); err != nil {
						t.Fatal(err)
					}
					c.after(t, l)
					synctest.Wait() // until nothing goes on without time passing
					if flushed := l.FlushedEnd() == l.LogEnd(); flushed != c.immediately {
						t.Fatalf("round %d: flushed up to %d of %d at once", round, l.FlushedEnd(), l.LogEnd())
					}
					<-time.After(flushLaterMax)
					synctest.Wait()
					if l.FlushedEnd() != l.LogEnd() || l.HighWatermark() != l.LogEnd() {
						t.Fatalf("round %d: flushed up to %d, readable up to %d of %d when the time was over", round, l.FlushedEnd(), l.HighWatermark(), l.LogEnd())
					}
				}
			})
		})
	}
}

// TestPostponedFlushesEndWithTheStore: what was to be flushed later is on disk when the store is closed.
func TestPostponedFlushesEndWithTheStore(t *testing.T) {
	fsys := vfs.NewMem(time.Now)
	s := mustOpen(t, testConfig(fsys, newTestClock()))
	l := mustCreate(t, s, DefaultLogConfig())
	if _, err := l.Append(mustBuild(t, batch.Options{}, batch.Record{Value: []byte("v")}), AppendOptions{Unawaited: true}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if l.FlushedEnd() != 1 {
		t.Fatalf("flushed up to %d of 1", l.FlushedEnd())
	}
}
