package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/test/process"
)

const (
	// shortTime is the load of every run; MILLRACE_SOAK_MINUTES makes it longer.
	shortTime = 20 * time.Second
	// sampleInterval is between two looks at the process.
	sampleInterval = time.Second
	// settleTime is how long the broker may take to let go of what clients left.
	settleTime = 90 * time.Second
	// slackGoroutines and slackDescriptors may be left over: timers, files that
	// the first load opened for good.
	slackGoroutines, slackDescriptors = 20, 40
	// slackHeapMiB is what may be alive in the end beyond what was before, after a
	// collection: buffers that are let go later, producers that may come back.
	slackHeapMiB = 16
	// residentMiBMax is the limit under the heaviest load.
	residentMiBMax = 300
)

// sample is one look at the process. tailMiB are the newest batches that it holds for consumers, which have a
// bound of their own and come and go with how far behind consumers are; aliveMiB is what else the last
// collection found in use; outsideMiB is resident and not of the heap.
type sample struct{ residentMiB, tailMiB, aliveMiB, outsideMiB, descriptors, goroutines float64 }

func look(p *process.Process) (sample, error) {
	m, err := p.Metrics()
	if err != nil {
		return sample{}, err
	}
	mib := func(name string) float64 { return m[name] / (1 << 20) }
	s := sample{
		residentMiB: mib("process_resident_memory_bytes"), tailMiB: mib("millrace_broker_storage_tail_bytes"),
		descriptors: m["process_open_fds"], goroutines: m["go_goroutines"],
	}
	// The next collection begins when the heap is twice of what the last one found (GOGC=100).
	s.aliveMiB = mib("go_memstats_next_gc_bytes")/2 - s.tailMiB
	s.outsideMiB = s.residentMiB - (mib("go_memstats_heap_sys_bytes") - mib("go_memstats_heap_released_bytes"))
	if s.residentMiB == 0 || m["go_memstats_next_gc_bytes"] == 0 || s.descriptors == 0 || s.goroutines == 0 {
		return s, errors.New("the process tells not all of memory, descriptors and goroutines")
	}
	return s, nil
}

// alive is how much of the heap is in use, without the newest batches, right after a collection.
func alive(p *process.Process) (mib float64, err error) {
	resp, err := http.Get("http://" + p.HTTP + "/debug/pprof/heap?gc=1")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, errors.Join(err, resp.Body.Close())
	}
	if err := resp.Body.Close(); err != nil {
		return 0, err
	}
	m, err := p.Metrics()
	if err != nil {
		return 0, err
	}
	if m["go_memstats_heap_alloc_bytes"] == 0 {
		return 0, errors.New("the process does not tell its heap")
	}
	return (m["go_memstats_heap_alloc_bytes"] - m["millrace_broker_storage_tail_bytes"]) / (1 << 20), nil
}

func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("MILLRACE_SOAK_MINUTES")
	if text == "" {
		return shortTime
	}
	d, err := time.ParseDuration(text + "m")
	if err != nil {
		t.Fatalf("MILLRACE_SOAK_MINUTES: %v", err)
	}
	return d
}

func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short puts no server under load")
	}
	binary, err := process.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	p := process.New(t, binary, "broker: {retention_bytes: 67108864, segment_size: 16MiB, retention_check_interval: 5s}\n", "broker")
	p.Start()
	lasting := duration(t)
	// The first, small load makes everything that is made once.
	underLoad(t, p, 5*time.Second)
	before := settled(t, p, sample{})
	aliveBefore, err := alive(p)
	if err != nil {
		t.Fatal(err)
	}
	samples := underLoad(t, p, lasting)
	after := settled(t, p, before)
	aliveAfter := letGo(t, p, aliveBefore+slackHeapMiB)
	t.Logf("%s of load: before %+v, after %+v, most %+v; alive in the heap %.1f MiB, then %.1f", lasting, before, after, most(samples), aliveBefore, aliveAfter)
	if top := most(samples); top.residentMiB > residentMiBMax {
		t.Errorf("%.0f MiB resident, %d are allowed", top.residentMiB, residentMiBMax)
	}
	if lasting > 5*time.Minute {
		level(t, samples)
	}
	if len(samples) == 0 {
		t.Error("nothing was measured")
	}
}

// underLoad runs all kinds of clients for a while.
func underLoad(t *testing.T, p *process.Process, lasting time.Duration) []sample {
	t.Helper()
	// Cancelled rather than given a deadline: a socket's deadline passes a moment
	// before its context's, and what it cuts off would be taken for a failure.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(lasting, cancel).Stop()
	failures := make(chan error, len(loads()))
	for name, run := range loads() {
		go func() {
			err := run(ctx, p.Broker)
			if ctx.Err() != nil {
				err = nil // what it was doing was cut off
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			failures <- err
		}()
	}
	var samples []sample
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for running := len(loads()); running > 0; {
		select {
		case err := <-failures:
			running--
			if err != nil {
				t.Fatalf("%v\n%s", err, p.Logs())
			}
		case <-tick.C:
			s, err := look(p)
			if err != nil {
				t.Fatal(err)
			}
			samples = append(samples, s)
		}
	}
	return samples
}

// settled waits until the process holds what it held before, where before is
// known, and returns what it holds.
func settled(t *testing.T, p *process.Process, before sample) sample {
	t.Helper()
	var now sample
	p.Eventually(settleTime, "what clients left is let go", func() (err error) {
		m, err := p.Metrics()
		if err == nil && m["millrace_broker_connections"] > 0 {
			return fmt.Errorf("%v connections", m["millrace_broker_connections"])
		}
		if now, err = look(p); err != nil || before == (sample{}) {
			return err
		}
		if now.goroutines > before.goroutines+slackGoroutines || now.descriptors > before.descriptors+slackDescriptors {
			err = fmt.Errorf("%+v, before the load %+v", now, before)
		}
		return err
	})
	return now
}

// letGo waits until no more than a limit of the heap is alive.
func letGo(t *testing.T, p *process.Process, limitMiB float64) (mib float64) {
	t.Helper()
	var looked time.Time
	tooMuch := errors.New("not looked at")
	p.Eventually(settleTime, "memory is let go", func() (err error) {
		if time.Since(looked) < sampleInterval { // each look collects
			return tooMuch
		}
		looked = time.Now()
		if mib, err = alive(p); err != nil {
			return err
		}
		if tooMuch = nil; mib > limitMiB {
			tooMuch = fmt.Errorf("%.1f MiB are alive in the heap, at most %.1f are expected", mib, limitMiB)
		}
		return tooMuch
	})
	return mib
}

func most(samples []sample) sample {
	var top sample
	for _, s := range samples {
		top = sample{
			residentMiB: max(top.residentMiB, s.residentMiB), tailMiB: max(top.tailMiB, s.tailMiB),
			aliveMiB: max(top.aliveMiB, s.aliveMiB), outsideMiB: max(top.outsideMiB, s.outsideMiB),
			descriptors: max(top.descriptors, s.descriptors), goroutines: max(top.goroutines, s.goroutines),
		}
	}
	return top
}

// level compares the medians of the second and the last quarter. Not all that is resident: the collector lets the
// heap grow to twice of what is alive in it, with the newest batches, before it looks again.
func level(t *testing.T, samples []sample) {
	t.Helper()
	n := len(samples) / 4
	for name, of := range map[string]func(sample) float64{
		"MiB alive beyond the newest batches": func(s sample) float64 { return s.aliveMiB },
		"resident MiB outside of the heap":    func(s sample) float64 { return s.outsideMiB },
		"descriptors":                         func(s sample) float64 { return s.descriptors },
		"goroutines":                          func(s sample) float64 { return s.goroutines },
	} {
		early, late := median(samples[n:2*n], of), median(samples[3*n:], of)
		t.Logf("%s: %.0f in the second quarter, %.0f in the last", name, early, late)
		if late > early*1.15+16 {
			t.Errorf("%s grow from %.0f to %.0f", name, early, late)
		}
	}
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// TestSoakKeepsNoFiles is for the folder of the test itself: a process that is
// stopped in order leaves no temporary files in its data.
func TestSoakKeepsNoFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short puts no server under load")
	}
	binary, err := process.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	p := process.New(t, binary, "", "broker")
	p.Start()
	underLoad(t, p, 3*time.Second)
	if _, err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*.tmp", "*.cleaned", "*.swap"} {
		for _, dir := range []string{"broker", "broker/*", "broker/*/*"} {
			left, err := filepath.Glob(filepath.Join(p.Dir, "data", dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	}
}
