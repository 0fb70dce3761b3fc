package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// clockTicks is the kernel's USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// usage is what a process and its children of the same group have used.
type usage struct {
	cpuSeconds  float64
	residentMiB float64
	peakMiB     float64
}

// used reads the figures of a process group from /proc.
func used(t testing.TB, pid int) usage {
	t.Helper()
	var u usage
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended since
		}
		// The name in brackets may hold spaces; what follows does not.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		member, _, _ := strings.Cut(strings.TrimPrefix(path, "/proc/"), "/")
		if fields[2] != strconv.Itoa(pid) && member != strconv.Itoa(pid) {
			continue
		}
		u.cpuSeconds += float64(number(t, fields[11])+number(t, fields[12])) / clockTicks
		u.residentMiB += statusMiB(path, "VmRSS:")
		u.peakMiB += statusMiB(path, "VmHWM:")
	}
	return u
}

func number(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// statusMiB reads one line of /proc/<pid>/status; 0 when the process has ended.
func statusMiB(statPath, key string) float64 {
	text, err := os.ReadFile(strings.TrimSuffix(statPath, "stat") + "status")
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
