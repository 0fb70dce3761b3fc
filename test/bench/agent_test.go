package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hpcloud/tail"
)

const (
	agentMiB = 512
	// tailMiB is less: hpcloud/tail is that much slower.
	tailMiB = 64
)

// agentLoad measures reading and shipping a file beside a bare reader of blocks
// and github.com/hpcloud/tail.
func agentLoad(t testing.TB, binary string) *table {
	note := fmt.Sprintf("A file of %d MiB (%d for hpcloud/tail) of 150 B lines. The agent reads, plans, compresses and ships it to a Millrace broker of another process, until every line is acknowledged (acks=all, fsync); the two others only read.", agentMiB, tailMiB)
	tab := newTable("Agent", note, "millrace agent", "hpcloud/tail", "block reader")
	dir := t.TempDir()
	large, small := filepath.Join(dir, "large.log"), filepath.Join(dir, "small.log")
	lines := writeLines(t, large, agentMiB<<20)
	writeLines(t, small, tailMiB<<20)
	for range rounds {
		shipFile(t, tab, binary, large, lines)
		measure(t, tab, "block reader", large, agentMiB, readBlocks)
		measure(t, tab, "hpcloud/tail", small, tailMiB, readTail)
	}
	return tab
}

func writeLines(t testing.TB, path string, size int) (lines int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for written := 0; written < size; lines++ {
		n, err := fmt.Fprintf(w, "2026-11-21T10:%02d:%02d.%03dZ INFO request=%08d path=/api/v1/item/%d status=%d bytes=%d duration=%dms agent=\"Mozilla/5.0 (X11; Linux x86_64)\" host=web-%d\n",
			lines/60000%60, lines/1000%60, lines%1000, lines, lines*7919%100000, 200+lines%3*100, lines*31%65536, lines*17%900, lines%8)
		if err != nil {
			t.Fatal(err)
		}
		written += n
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func shipFile(t testing.TB, tab *table, binary, path string, lines int) {
	t.Helper()
	broker := run(t, binary, "", "broker")
	defer broker.Kill()
	began := time.Now()
	agent := run(t, binary, fmt.Sprintf("kafka: {brokers: [%q]}\nagent: {inputs: [{include: [%q]}]}\n", broker.Broker, path), "agent")
	defer agent.Kill()
	agent.Eventually(5*time.Minute, "every line is acknowledged", func() error {
		sums, err := agent.Metrics()
		if acked := sums["millrace_agent_lines_acked_total"]; err == nil && acked < float64(lines) {
			err = fmt.Errorf("%.0f of %d", acked, lines)
		}
		return err
	})
	took, gib := time.Since(began), float64(agentMiB)/1024
	u := used(t, agent.Pid())
	tab.add("lines/s", "millrace agent", float64(lines)/took.Seconds())
	tab.add("CPU s/GiB", "millrace agent", u.cpuSeconds/gib)
	tab.add("resident peak, MiB", "millrace agent", u.peakMiB)
}

// measure takes the processor time of this process while it reads a file.
func measure(t testing.TB, tab *table, name, path string, mib int, read func(testing.TB, string) int) {
	t.Helper()
	cpu, began := ownCPU(t), time.Now()
	lines := read(t, path)
	tab.add("lines/s", name, float64(lines)/time.Since(began).Seconds())
	tab.add("CPU s/GiB", name, (ownCPU(t)-cpu)/(float64(mib)/1024))
}

func ownCPU(t testing.TB) float64 {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// readBlocks reads in blocks of 256 KiB and counts line ends.
func readBlocks(t testing.TB, path string) (lines int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 256<<10)
	for {
		n, err := f.Read(block)
		lines += bytes.Count(block[:n], []byte{'\n'})
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readTail(t testing.TB, path string) (lines int) {
	t.Helper()
	tailed, err := tail.TailFile(path, tail.Config{Logger: tail.DiscardingLogger})
	if err != nil {
		t.Fatal(err)
	}
	for range tailed.Lines {
		lines++
	}
	return lines
}
