package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/peers"
)

// TestKcat: librdkafka's own tool lists, produces, consumes, looks up offsets and joins groups.
func TestKcat(t *testing.T) {
	t.Parallel()
	kcat := peers.Kcat(t)
	n := startNode(t)
	n.createTopic("kcat", 2)
	run := func(input string, args ...string) string {
		t.Helper()
		return runProgram(t, input, kcat, append([]string{"-b", n.addr}, args...)...)
	}

	contains(t, "metadata", run("", "-L"), "1 brokers:", "broker 1 at "+n.addr+" (controller)", `topic "kcat" with 2 partitions:`, "partition 1, leader 1, replicas: 1, isrs: 1")
	contains(t, "metadata as JSON", run("", "-L", "-J", "-t", "kcat"), `"topic":"kcat"`, `"partition":1`)

	var all []string
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, idempotent := range []string{"false", "true"} {
			var sent []string
			for i := range 200 {
				sent = append(sent, fmt.Sprintf("%s-%s-%d", codec, idempotent, i))
			}
			run(strings.Join(sent, "\n")+"\n", "-P", "-t", "kcat", "-p", "0", "-z", codec, "-H", "h=v", "-k", "key", "-X", "acks=all", "-X", "enable.idempotence="+idempotent)
			all = append(all, sent...)
		}
	}
	got := run("", "-C", "-t", "kcat", "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%k|%h|%s\n")
	var want []string
	for _, s := range all {
		want = append(want, "key|h=v|"+s)
	}
	if lines := strings.Fields(got); !slices.Equal(lines, want) {
		t.Errorf("consumed %d records, want %d in order", len(lines), len(want))
	}

	contains(t, "the last two", run("", "-C", "-t", "kcat", "-p", "0", "-o", "-2", "-e", "-q"), "zstd-true-198 zstd-true-199")
	contains(t, "offset by time", run("", "-Q", "-t", "kcat:0:0"), "kcat [0] offset 0")
	contains(t, "offset of the end", run("", "-Q", "-t", "kcat:0:-1"), fmt.Sprintf("kcat [0] offset %d", len(all)))

	// A group goes on where it was.
	first := run("", "-G", "kcat-group", "-q", "-c", "100", "-X", "auto.offset.reset=earliest", "-X", "enable.auto.offset.store=true", "kcat")
	rest := run("", "-G", "kcat-group", "-q", "-e", "-X", "auto.offset.reset=earliest", "kcat")
	if a, b := len(strings.Fields(first)), len(strings.Fields(rest)); a != 100 || a+b != len(all) {
		t.Errorf("the group read %d and then %d of %d records", a, b, len(all))
	}
	if lines := strings.Fields(first + rest); !slices.Equal(lines, all) {
		t.Error("the group did not read each record once in order")
	}
}
