package consume

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
)

func TestPatterns(t *testing.T) {
	chosen, err := Patterns([]string{"a.b", "^logs", "millrace.alerts"})
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]bool{
		"a.b": true, "aXb": false, "logs": true, "logs.web": true, "xlogs": false,
		"millrace.alerts": true, "millrace.alert-matches": false, "__consumer_offsets": false,
	} {
		if chosen(topic) != want {
			t.Errorf("chosen(%q) = %v", topic, !want)
		}
	}
	all, err := Patterns([]string{"^.*"})
	if err != nil || all("millrace.alerts") || all("__x") || !all("y") {
		t.Errorf("^.* chooses Millrace's own topics: %v", err)
	}
	if _, err := Patterns([]string{"^("}); err == nil || !strings.Contains(err.Error(), "^(") {
		t.Errorf("a broken pattern: %v", err)
	}
}

func TestRetryWaitsLongerEachTimeAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		err := Retry(t.Context(), slog.New(slog.DiscardHandler), "test", func() error {
			at = append(at, time.Since(began))
			if len(at) < 9 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || at[1] != backoffMin || at[2] != 3*backoffMin || at[8]-at[7] != backoffMax {
			t.Errorf("%v, tried at %v", err, at)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = Retry(ctx, slog.New(slog.DiscardHandler), "test", func() error { return errors.New("never") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestWithGraceEndsALittleLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		grace, stop := WithGrace(ctx)
		defer stop()
		cancel()
		synctest.Wait()
		if grace.Err() != nil {
			t.Error("the grace ended with the context")
		}
		began := time.Now()
		<-grace.Done()
		if got := time.Since(began); got != graceTimeout {
			t.Errorf("the grace was %v", got)
		}
	})
}

func TestDeletedRecordsAreReported(t *testing.T) {
	var out bytes.Buffer
	m := &Member{Group: "g", Logger: slog.New(slog.NewTextHandler(&out, nil))}
	m.report(errors.New("anything else"))
	if out.Len() > 0 {
		t.Errorf("told an operator: %s", out.String())
	}
	m.report(&sarama.ConsumerError{Topic: "logs", Partition: 3, Err: sarama.ErrOffsetOutOfRange})
	for _, want := range []string{"level=WARN", "were deleted", "group=g", "topic=logs", "partition=3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}
