package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder notes the order in which parts end.
type recorder struct {
	mu    sync.Mutex
	order []string
}

func (r *recorder) part(name string, takes time.Duration) part {
	return part{name, func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(takes) //nolint:forbidigo // time is virtual here
		r.mu.Lock()
		defer r.mu.Unlock()
		r.order = append(r.order, name)
		return nil
	}}
}

func TestStagesEndOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		ctx, cancel := context.WithCancel(t.Context())
		stages := [][]part{{r.part("agent", 3*time.Second)}, {r.part("pipelines", time.Second), r.part("alerting", 2*time.Second)}, {r.part("broker", 0)}}
		cancel()
		if err := runStages(ctx, stages, 10*time.Second, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if want := []string{"agent", "pipelines", "alerting", "broker"}; !slices.Equal(r.order, want) {
			t.Errorf("order %v, want %v", r.order, want)
		}
	})
}

func TestAFailedPartStopsTheOthersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		broken := part{"search", func(context.Context) error { return errors.New("disk full") }}
		err := runStages(t.Context(), [][]part{{r.part("agent", 0)}, {broken, r.part("broker", 0)}}, time.Minute, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "search: disk full") {
			t.Errorf("got %v", err)
		}
		if want := []string{"agent", "broker"}; !slices.Equal(r.order, want) {
			t.Errorf("order %v, want %v", r.order, want)
		}
	})
}

func TestAStopThatTakesTooLongIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		err := runStages(ctx, [][]part{{r.part("agent", time.Hour)}}, 9*time.Second, slog.New(slog.DiscardHandler))
		if !errors.Is(err, ErrStopTimeout) || time.Since(began) != 9*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // time is virtual here: let the part end
	})
}
