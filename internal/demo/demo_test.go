package demo_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/demo"
)

// write runs a writer over the time from start, tick by tick.
func write(t *testing.T, dir string, o demo.Options, start time.Time, length time.Duration) {
	t.Helper()
	ticks := make(chan time.Time)
	o.Ticks = ticks
	done := make(chan error, 1)
	go func() { done <- demo.New(dir, o).Run(t.Context()) }()
	for at := start; at.Before(start.Add(length)); at = at.Add(100 * time.Millisecond) {
		select {
		case ticks <- at:
		case err := <-done:
			t.Fatalf("Run ended: %v", err)
		}
	}
	close(ticks)
	if err := <-done; err != nil {
		t.Fatalf("Run: %v", err)
	}
}

func lines(t *testing.T, paths ...string) []string {
	t.Helper()
	var all []string
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), "\n") && len(text) > 0 {
			t.Errorf("%s ends within a line", p)
		}
		all = append(all, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	return all
}

// start is not the turn of a minute: lines lie before the tick that writes them.
var start = time.Date(2026, 3, 1, 12, 0, 0, 2e8, time.UTC)

func TestWriterWritesThreeFormatsWithABurst(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, demo.Options{Seed: 7}, start, time.Minute-time.Second)

	combined := regexp.MustCompile(`^\S+ - \S+ \[\d\d/Mar/2026:12:00:\d\d \+0000\] "(GET|POST) \S+ HTTP/1\.1" (\d{3}) \d+ "[^"]*" "[^"]*"$`)
	web := lines(t, filepath.Join(dir, "web/access.log"))
	failed := 0
	for _, l := range web {
		m := combined.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("not a line of the combined format: %s", l)
		}
		if m[2] >= "500" {
			failed++
			if second := l[strings.Index(l, "12:00:")+6:][:2]; second < "53" {
				t.Errorf("server error outside of the burst: %s", l)
			}
		}
	}
	if len(web) < 7050 || len(web) > 7100 || failed < 50 {
		t.Errorf("%d access lines, %d server errors; want about 7080 and at least 50", len(web), failed)
	}

	app := lines(t, filepath.Join(dir, "app/application.log"))
	traces, events := 0, 0
	for _, l := range app {
		switch {
		case strings.HasPrefix(l, "2026-03-01 12:00:"):
			events++
		case strings.HasPrefix(l, "\tat "):
			traces++
		}
	}
	if events < 1100 || traces < 100 {
		t.Errorf("%d application events with %d stack frames, want about 1200 and at least 100", events, traces)
	}

	payments := lines(t, filepath.Join(dir, "service/payments.json"))
	failures := 0
	for _, l := range payments {
		var doc struct {
			TS        time.Time
			Level     string
			EventName string `json:"event_name"`
		}
		if err := json.Unmarshal([]byte(l), &doc); err != nil || doc.TS.IsZero() {
			t.Fatalf("not the JSON of a payment: %v: %s", err, l)
		}
		if doc.EventName == "payment.failed" {
			failures++
		}
	}
	if len(payments) < 3400 || failures < 10 {
		t.Errorf("%d payments, %d failed; want about 3600 and at least 10", len(payments), failures)
	}
}

func TestWriterRotates(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, demo.Options{Seed: 7, RotateBytes: 100 << 10}, start, 90*time.Second)

	var sum int64
	for _, name := range []string{"access.log", "access.log.1", "access.log.2", "access.log.3"} {
		info, err := os.Stat(filepath.Join(dir, "web", name))
		if err != nil {
			t.Fatalf("rotation by rename: %v", err)
		}
		sum += info.Size()
	}
	if _, err := os.Stat(filepath.Join(dir, "web", "access.log.4")); err == nil || sum > 500<<10 {
		t.Errorf("rotated files are not deleted: %d bytes", sum)
	}
	lines(t, filepath.Join(dir, "web/access.log.1"))

	whole := lines(t, filepath.Join(dir, "service/payments.json.1"))
	rest := lines(t, filepath.Join(dir, "service/payments.json"))
	for _, l := range append(whole, rest...) {
		if !json.Valid([]byte(l)) {
			t.Errorf("copy and truncate has cut a line: %q", l)
		}
	}
}

func TestWriterGoesOnAfterAKill(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, demo.Options{Seed: 7}, start, time.Second)
	path := filepath.Join(dir, "service/payments.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-10], 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, demo.Options{Seed: 8}, start.Add(time.Minute), time.Second)
	broken := 0
	for _, l := range lines(t, path) {
		if !json.Valid([]byte(l)) {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("%d lines are broken, want the one that was cut only", broken)
	}
}

func TestRunSaysWhatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := demo.New(file, demo.Options{}).Run(context.Background()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Run below a file = %v, want an error that names it", err)
	}
}

func TestConfigIsValid(t *testing.T) {
	dir := t.TempDir()
	cfg, err := demo.Config(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Agent.Inputs) != 3 || len(cfg.Pipelines) != 3 {
		t.Fatalf("%d inputs and %d pipelines, want 3 of each", len(cfg.Agent.Inputs), len(cfg.Pipelines))
	}
	types := map[string]int{}
	for _, p := range cfg.Pipelines {
		for _, a := range p.Alerts {
			types[a.Type]++
		}
	}
	if types["any"] != 3 || types["frequency"] != 3 {
		t.Errorf("alert rules by type: %v, want 3 of each", types)
	}
	for _, in := range cfg.Agent.Inputs {
		if !strings.HasPrefix(in.Include[0], dir) {
			t.Errorf("input %s reads %s outside of %s", in.Name, in.Include[0], dir)
		}
	}
}

func TestApplyRefusesNamesThatAreTaken(t *testing.T) {
	cfg := configs.Default()
	if err := demo.Apply(&cfg, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if errs := cfg.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := demo.Apply(&cfg, t.TempDir()); err == nil {
		t.Error("the demo was added twice")
	}
}
