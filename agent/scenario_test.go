package agent_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// TestScenarios runs against one Apache Kafka.
func TestScenarios(t *testing.T) {
	kafka := peers.Kafka(t)
	for name, run := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newRig(t, kafka.Bootstrap))
		})
	}
}

// TestScenariosOnMillrace runs against our broker.
func TestScenariosOnMillrace(t *testing.T) {
	to := ourBroker(t)
	for name, run := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newRig(t, to.bootstrap))
		})
	}
}

var scenarios = map[string]func(*testing.T, *rig){
	"ships lines":        scenarioShips,
	"rename":             scenarioRename,
	"copytruncate":       scenarioCopyTruncate,
	"restart in between": scenarioRestart,
	"deleted while open": scenarioDeleted,
	"inode reuse":        scenarioInodeReuse,
	"inode reuse away":   scenarioOfflineReuse,
	"links":              scenarioLinks,
	"truncated away":     scenarioTruncatedOffline,
	"renamed away":       scenarioRenamedOffline,
	"plain copy":         scenarioPlainCopy,
	"copy in glob":       scenarioCopyInGlob,
	"sparse":             scenarioSparse,
	"lost bytes":         scenarioLostBytes,
	"last line":          scenarioLastLine,
	"globs":              scenarioGlobs,
	"start at end":       scenarioStartAtEnd,
	"multiline":          scenarioMultiline,
	"long lines":         scenarioLong,
	"utf-16":             scenarioUTF16,
	"ecs":                scenarioECS,
	"many files":         scenarioManyFiles,
	"clone":              scenarioClone,
	"back-pressure":      scenarioBackPressure,
	"fewer partitions":   scenarioFewerPartitions,
}

func scenarioShips(t *testing.T, r *rig) {
	r.write("a.log", "one\r\ntwo\n\nfo\x00ur\xff\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	got := values(lines.next(4))
	if want := []string{"one", "two", "", "fo\x00ur\xff"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if l := lines.have[1]; l.origin.Offset != 5 || l.origin.Path != r.path("a.log") || l.origin.File == "" || l.origin.Agent == "" || l.origin.Host == "" {
		t.Fatalf("headers of the second line: %+v", l.origin)
	}
	r.write("a.log", "half")
	if more := lines.quiet(500 * time.Millisecond); len(more) != 0 {
		t.Fatalf("an unfinished line was shipped: %q", values(more))
	}
	r.write("a.log", " and half\n")
	if got := values(lines.next(1)); got[0] != "half and half" {
		t.Fatalf("got %q", got)
	}
}

func scenarioRename(t *testing.T, r *rig) {
	r.write("x.log", "1\n2\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	if err := os.Rename(r.path("x.log"), r.path("x.log.1")); err != nil {
		t.Fatal(err)
	}
	r.write("x.log.1", "3\n")
	r.write("x.log", "4\n")
	r.write("x.log.1", "5\nunfinished")
	expect(t, lines, "3", "4", "5", "unfinished")
	if len(lines.quiet(time.Second)) > 0 {
		t.Fatalf("repeated: %q", values(lines.have))
	}
}

func scenarioCopyTruncate(t *testing.T, r *rig) {
	r.write("x.log", strings.Repeat("a line\n", 1000))
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(1000)
	r.copyTruncate("x.log", "x.log.1")
	r.write("x.log", "after\n")
	expect(t, lines, "after")
	if more := lines.quiet(4 * time.Second); len(more) > 0 {
		t.Fatalf("repeated: %q", values(more))
	}
}

// copyTruncate rotates as logrotate does.
func (r *rig) copyTruncate(from, to string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(from))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(to), b, 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(r.path(from), 0); err != nil {
		r.t.Fatal(err)
	}
}

// expect reads as many lines as there are wanted, in any order.
func expect(t *testing.T, r *reader, want ...string) {
	t.Helper()
	got := map[string]int{}
	for _, l := range r.next(len(want)) {
		got[l.value]++
	}
	for _, w := range want {
		if got[w] == 0 {
			t.Fatalf("got %v, want %q", got, want)
		}
		got[w]--
	}
}

func scenarioRestart(t *testing.T, r *rig) {
	r.write("x.log", "1\n2\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.write("x.log", "3\n")
	if err := os.Rename(r.path("x.log"), r.path("x.log.1")); err != nil {
		t.Fatal(err)
	}
	r.write("x.log", "4\n")
	r.copyTruncate("x.log", "x.log.0")
	r.write("x.log", "5\n")
	r.start()
	expect(t, lines, "3", "4", "5")
	if more := lines.quiet(3 * time.Second); len(more) > 0 {
		t.Fatalf("repeated: %q", values(more))
	}
}
