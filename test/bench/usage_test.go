package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process and its children of the same group have used.
type usage struct {
	cpuSeconds  float64
	residentMiB float64
	peakMiB     float64
}

// used reads the figures of a process group.
func used(t testing.TB, pid int) usage {
	t.Helper()
	var u usage
	for _, member := range group(t, pid) {
		u.cpuSeconds += cpuSeconds(member)
		u.residentMiB += statusMiB(member, "VmRSS:")
		u.peakMiB += statusMiB(member, "VmHWM:")
	}
	return u
}

// group returns the processes of a group that run.
func group(t testing.TB, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var members []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended since
		}
		// The name in brackets may hold spaces; what follows does not.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/proc/"), "/")
		member, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		if fields[2] == strconv.Itoa(pid) || member == pid {
			members = append(members, member)
		}
	}
	return members
}

// cpuSeconds reads the processor clock of a process, to the nanosecond and with the threads
// that have ended; 0 when the process has.
func cpuSeconds(pid int) float64 {
	const schedulerClock = 2 // CPUCLOCK_SCHED of clock_getcpuclockid(3)
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano()).Seconds()
}

// statusMiB reads one line of /proc/<pid>/status; 0 when the process has ended.
func statusMiB(pid int, key string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			var kib float64
			if _, err := fmt.Sscanf(rest, "%f", &kib); err == nil {
				return kib / 1024
			}
		}
	}
	return 0
}

// resident looks at a process's memory every sampleInterval until stop is called, which
// returns the average and the largest of what it saw, in MiB.
func resident(t testing.TB, pid int) (stop func() (average, peak float64)) {
	const sampleInterval = 50 * time.Millisecond
	members := group(t, pid)
	sum, count, peak := 0.0, 0.0, 0.0
	look := func() {
		now := 0.0
		for _, m := range members {
			now += statusMiB(m, "VmRSS:")
		}
		sum, count, peak = sum+now, count+1, max(peak, now)
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sampleInterval)
		defer tick.Stop()
		for {
			look()
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	}()
	return func() (float64, float64) {
		close(ended)
		<-done
		return sum / count, peak
	}
}

// TestProcessorTimeIsThatOfAProcess compares the clock with what the kernel tells of this process.
func TestProcessorTimeIsThatOfAProcess(t *testing.T) {
	before := cpuSeconds(os.Getpid())
	sum := 0
	for i := range 50_000_000 {
		sum += i * i
	}
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		t.Fatal(err)
	}
	after := cpuSeconds(os.Getpid())
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano()).Seconds()
	if before <= 0 || after <= before || sum == 0 || after < total*0.9 {
		t.Fatalf("from %g to %g s, the kernel says %g", before, after, total)
	}
	stop := resident(t, os.Getpid())
	if average, peak := stop(); average <= 0 || peak < average {
		t.Fatalf("resident %g MiB on average, at most %g", average, peak)
	}
}
