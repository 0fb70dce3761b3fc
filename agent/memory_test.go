package agent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
)

// TestMemoryIsBounded freezes the broker while there is far more to read than
// unacked_max, and looks at the memory that the agent's process has had at most.
func TestMemoryIsBounded(t *testing.T) {
	to := ourBroker(t)
	r := newRig(t, to.bootstrap)
	spec, err := json.Marshal(childSpec{Dir: r.dir, Bootstrap: to.bootstrap, Config: r.cfg, Partitions: 8})
	must(t, err)
	agent := &child{t: t, spec: string(spec), dir: r.dir, log: &syncBuffer{}}
	agent.start()
	t.Cleanup(func() { agent.kill() })
	r.write("first.log", "first\n")
	newReader(t, to.bootstrap, r.topic).next(1)
	must(t, syscall.Kill(to.pid, syscall.SIGSTOP))
	t.Cleanup(func() { must(t, syscall.Kill(to.pid, syscall.SIGCONT)) })
	text := strings.Repeat(strings.Repeat("x", 99)+"\n", 200_000)
	for i := range 8 {
		r.write(fmt.Sprintf("%d.log", i), fmt.Sprintln("file", i)+text)
	}
	pid := agent.cmd.Process.Pid
	limit := int64(configs.Default().Agent.UnackedMax)
	enough := limit / 5 // a record is counted with its headers, which are longer than these lines
	last, since := int64(-1), time.Now()
	eventually(t, 60*time.Second, "the limit is reached and reading stops", func() bool {
		if n := procNumber(t, pid, "io", "rchar:"); n > last+(64<<10) || last < 0 {
			last, since = n, time.Now()
		}
		return last >= enough && time.Since(since) > 2*time.Second
	})
	held := procNumber(t, pid, "status", "VmHWM:") << 10
	t.Logf("%d MiB resident at most, %d MiB read, unacked_max %d MiB", held>>20, last>>20, limit>>20)
	if held > 4*limit {
		t.Errorf("%d bytes were resident", held)
	}
	if last > 2*limit {
		t.Errorf("%d bytes were read with a limit of %d", last, limit)
	}
}

// procNumber reads a number from a file of /proc.
func procNumber(t *testing.T, pid int, file, key string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	must(t, err)
	for l := range strings.Lines(string(b)) {
		if fields := strings.Fields(l); len(fields) > 1 && fields[0] == key {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			must(t, err)
			return n
		}
	}
	t.Fatalf("/proc/%d/%s has no %s", pid, file, key)
	return 0
}
