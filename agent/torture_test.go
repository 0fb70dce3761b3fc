package agent_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hpcloud/tail"

	"github.com/millrace/millrace/agent"
	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

const childEnv = "MILLRACE_AGENT_TEST_CHILD"

// childSpec is what the agent of a child process is made of.
type childSpec struct {
	Dir, Bootstrap string
	Config         configs.Agent
	Partitions     int32
	CopyHold       time.Duration
}

// TestMain runs the agent instead of the tests in a child process.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := runChild(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if spec := os.Getenv(brokerEnv); spec != "" {
		if err := runBroker(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Scenarios wait far more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runChild(text string) error {
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	kafka := configs.Default().Kafka
	kafka.Brokers, kafka.Partitions = []string{spec.Bootstrap}, spec.Partitions
	a, err := agent.New(spec.Config, kafka, agent.Options{
		Dir: spec.Dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), CopyHold: spec.CopyHold,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return a.Run(ctx)
}

// child is an agent in a process of its own.
type child struct {
	t    *testing.T
	spec string
	dir  string
	log  *syncBuffer
	mu   sync.Mutex
	cmd  *exec.Cmd
}

func (c *child) start() {
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+c.spec)
	cmd.Stderr = c.log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.cmd = cmd
	c.mu.Unlock()
}

// kill ends the process with SIGKILL and returns how many batches it had not
// seen acknowledged.
func (c *child) kill() int {
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait()
	pending, _ := pendingPlans(c.t, c.dir, 0)
	return pending
}

// pendingPlans looks into a copy of a registry. It returns how many plans are unacknowledged whose id is at
// least from, and the id of the next plan.
func pendingPlans(t *testing.T, dir string, from uint64) (pending int, next uint64) {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(dir, "registry"))); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(copied, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	for _, l := range reg.Lanes() {
		for _, p := range l.Plans {
			if p.ID >= from {
				pending++
			}
		}
	}
	return pending, reg.Meta().NextPlan
}

// holds reports whether the child has a file of that inode open.
func (c *child) holds(inode uint64) bool {
	c.mu.Lock()
	pid := c.cmd.Process.Pid
	c.mu.Unlock()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if fi, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Ino == inode && fi.Mode().IsRegular() {
				return true
			}
		}
	}
	return false
}

// torture is one run: writers, rotations, kills, and the lines that came out.
type torture struct {
	t       *testing.T
	logs    string
	child   *child
	lines   int
	alive   sync.RWMutex // held for reading while the agent must not be killed
	phases  int
	phase   chan struct{} // closed when the next phase begins; guarded by phaseMu
	now     int
	freeze  func(stop bool) // stops and resumes the broker
	seen    map[string]*lineSet
	seenMu  sync.Mutex
	phaseMu sync.Mutex
}

// atPhase blocks a writer at line i until the phase that the line belongs to
// has begun. Within a phase it writes at full speed.
func (x *torture) atPhase(i int) {
	for {
		x.phaseMu.Lock()
		ok, begin := i*x.phases/x.lines <= x.now, x.phase
		x.phaseMu.Unlock()
		if ok {
			return
		}
		<-begin
	}
}

func (x *torture) nextPhase() {
	x.phaseMu.Lock()
	defer x.phaseMu.Unlock()
	x.now++
	close(x.phase)
	x.phase = make(chan struct{})
}

// deletions is how many generations the writer that deletes has.
const deletions = 12

// lineSet counts how often each line of a writer was seen.
type lineSet struct {
	counts []uint8
	total  atomic.Int64
	// parts counts the lines of each generation of deletes.
	parts [deletions]atomic.Int64
	odd   int // fragments that a copy tore
}

const padding = "the quick brown fox jumps over the lazy dog while the log is rotated under it at full speed"

// writeAll writes numbered lines in chunks, and calls rotate after every chunk
// whose index says so. Each chunk is one write.
func (x *torture) writeAll(name string, rotateEvery int, rotate func(n int)) {
	path := filepath.Join(x.logs, name+".log")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			x.t.Error(err)
		}
		return f
	}
	f := open()
	var chunk []byte
	rotations := 0
	for i := range x.lines {
		x.atPhase(i)
		chunk = fmt.Appendf(chunk, "%s %d %s\n", name, i, padding)
		if len(chunk) >= 32<<10 || i == x.lines-1 {
			if _, err := f.Write(chunk); err != nil {
				x.t.Error(err)
			}
			chunk = chunk[:0]
		}
		if (i+1)%rotateEvery == 0 && i < x.lines-1 && rotate != nil {
			if _, err := f.Write(chunk); err != nil {
				x.t.Error(err)
			}
			chunk = chunk[:0]
			rotations++
			rotate(rotations)
			if err := f.Close(); err != nil {
				x.t.Error(err)
			}
			f = open()
		}
	}
	if err := f.Close(); err != nil {
		x.t.Error(err)
	}
}

// renames rotates x.log to x.log.1, .1 to .2 and so on.
func (x *torture) renames(name string) {
	x.writeAll(name, x.lines/12, func(n int) {
		for i := n; i > 0; i-- {
			from := filepath.Join(x.logs, name+".log")
			if i > 1 {
				from += "." + strconv.Itoa(i-1)
			}
			if err := os.Rename(from, filepath.Join(x.logs, name+".log."+strconv.Itoa(i))); err != nil {
				x.t.Error(err)
			}
		}
	})
}

// copytruncates copies and truncates beside the writer, at any moment.
func (x *torture) copytruncates(name string, copies int, done <-chan struct{}, progress *atomic.Int64) {
	path := filepath.Join(x.logs, name+".log")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range copies {
		next := int64(x.lines * (n + 1) / (copies + 1))
		for progress.Load() < next {
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
		for i := n; i > 0; i-- {
			if err := os.Rename(path+"."+strconv.Itoa(i), path+"."+strconv.Itoa(i+1)); err != nil {
				x.t.Error(err)
			}
		}
		if err := copyFile(path, path+".1"); err != nil {
			x.t.Error(err)
		}
		if err := os.Truncate(path, 0); err != nil {
			x.t.Error(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 64<<10)); err != nil {
		return err
	}
	return out.Close()
}

// writeOn writes to one open file without a pause; progress counts lines.
func (x *torture) writeOn(name string, progress *atomic.Int64) {
	f, err := os.OpenFile(filepath.Join(x.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		x.t.Error(err)
		return
	}
	defer f.Close()
	var chunk []byte
	for i := range x.lines {
		x.atPhase(i)
		chunk = fmt.Appendf(chunk, "%s %d %s\n", name, i, padding)
		if len(chunk) >= 16<<10 || i == x.lines-1 {
			if _, err := f.Write(chunk); err != nil {
				x.t.Error(err)
			}
			chunk = chunk[:0]
			progress.Store(int64(i))
		}
	}
	progress.Store(int64(x.lines))
}

// deletes renames, and deletes as soon as the agent has the file open. The
// agent is not killed before the lines are in the topic: killed, it could not find them anywhere.
func (x *torture) deletes(name string) {
	path := filepath.Join(x.logs, name+".log")
	var wg sync.WaitGroup
	every := x.lines / deletions
	shipped := func(n int) bool { return x.set(name).parts[n-1].Load() >= int64(every) }
	x.writeAll(name, every, func(n int) {
		x.alive.RLock()
		rotated := path + "." + strconv.Itoa(n)
		if err := os.Rename(path, rotated); err != nil {
			x.t.Error(err)
		}
		wg.Go(func() {
			defer x.alive.RUnlock()
			fi, err := os.Stat(rotated)
			if err != nil {
				x.t.Error(err)
				return
			}
			inode := fi.Sys().(*syscall.Stat_t).Ino
			eventually(x.t, 5*time.Minute, "the agent opens "+rotated, func() bool {
				return x.child.holds(inode) || shipped(n)
			})
			if err := os.Remove(rotated); err != nil {
				x.t.Error(err)
			}
			eventually(x.t, 5*time.Minute, "the lines of the deleted file are shipped", func() bool {
				return shipped(n)
			})
		})
	})
	wg.Wait()
}

func (x *torture) set(name string) *lineSet {
	x.seenMu.Lock()
	defer x.seenMu.Unlock()
	if x.seen[name] == nil {
		x.seen[name] = &lineSet{counts: make([]uint8, x.lines)}
	}
	return x.seen[name]
}

// count notes a line that came out. It reports whether it is one of ours.
func (x *torture) count(value string) {
	name, rest, _ := strings.Cut(value, " ")
	number, text, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	if err != nil || text != padding || n >= x.lines || !slices.Contains([]string{"rename", "copytruncate", "delete"}, name) {
		set := x.set("copytruncate")
		x.seenMu.Lock()
		set.odd++
		x.seenMu.Unlock()
		return
	}
	set := x.set(name)
	x.seenMu.Lock()
	set.counts[n]++
	x.seenMu.Unlock()
	set.total.Add(1)
	set.parts[min(n/(x.lines/deletions), deletions-1)].Add(1)
}

// required returns the lines of a writer that are in a file now.
func (x *torture) required(name string) []bool {
	need := make([]bool, x.lines)
	paths, err := filepath.Glob(filepath.Join(x.logs, name+".log*"))
	if err != nil {
		x.t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			x.t.Fatal(err)
		}
		sc := bufio.NewScanner(bytes.NewReader(b))
		for sc.Scan() {
			parts := strings.SplitN(sc.Text(), " ", 3)
			if len(parts) == 3 && parts[0] == name && parts[2] == padding {
				if n, err := strconv.Atoi(parts[1]); err == nil {
					need[n] = true
				}
			}
		}
	}
	return need
}

// TestTorture rotates in three ways at full write speed and kills the agent
// while batches are unacknowledged; each line that is in a file or in a rotated copy must be in the topic exactly once.
func TestTorture(t *testing.T) {
	t.Run("Apache Kafka", func(t *testing.T) {
		kafka := peers.Kafka(t)
		tortureOnce(t, cluster{kafka.Bootstrap, kafka.Pid()}, "*.log", "torture")
	})
	t.Run("Millrace", func(t *testing.T) { tortureOnce(t, ourBroker(t), "*.log*", "torture") })
}

func tortureOnce(t *testing.T, to cluster, glob, topic string) {
	lines, kills := 150_000, 4
	if os.Getenv("MILLRACE_LONG") != "" {
		lines, kills = 600_000, 15
	}
	logs, dir := t.TempDir(), t.TempDir()
	cfg := configs.Default().Agent
	cfg.RescanInterval = configs.Duration(time.Second)
	in := configs.DefaultInput()
	in.Include, in.Topic = []string{filepath.Join(logs, glob)}, topic
	cfg.Inputs = []configs.Input{in}
	spec, err := json.Marshal(childSpec{Dir: dir, Bootstrap: to.bootstrap, Config: cfg, Partitions: 4, CopyHold: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	x := &torture{t: t, logs: logs, lines: lines, seen: map[string]*lineSet{}, phases: kills + 1, phase: make(chan struct{})}
	x.freeze = func(stop bool) {
		sig := syscall.SIGCONT
		if stop {
			sig = syscall.SIGSTOP
		}
		if err := syscall.Kill(to.pid, sig); err != nil {
			t.Error(err)
		}
	}
	x.child = &child{t: t, spec: string(spec), dir: dir, log: &syncBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(x.child.log.String())
		}
	})
	x.child.start()
	others := tailAll(t, logs, []string{"rename", "copytruncate", "delete"})
	r := newReader(t, to.bootstrap, topic)
	stop := make(chan struct{})
	var consumer sync.WaitGroup
	var all []line
	consumer.Go(func() {
		for {
			select {
			case l := <-r.lines:
				all = append(all, line{partition: l.partition, offset: l.offset, origin: l.origin})
				x.count(l.value)
			case <-stop:
				return
			}
		}
	})
	began := time.Now()
	var writers sync.WaitGroup
	finished := make(chan struct{})
	var progress atomic.Int64
	writers.Go(func() { x.renames("rename") })
	writers.Go(func() { x.writeOn("copytruncate", &progress) })
	writers.Go(func() { x.copytruncates("copytruncate", 10, finished, &progress) })
	writers.Go(func() { x.deletes("delete") })
	withPending := x.killer()
	writers.Wait()
	close(finished)
	t.Logf("%d lines written in %v", 3*lines, time.Since(began).Round(time.Millisecond))
	x.verify()
	close(stop)
	consumer.Wait()
	x.verifyOrder(all)
	if withPending < kills {
		t.Error("a kill hit the agent with nothing unacknowledged: it has shown nothing")
	}
	t.Logf("%d kills, %d of them while batches were unacknowledged; fragments of torn lines: %d", kills, withPending, x.set("copytruncate").odd)
	for name, n := range others() {
		t.Logf("github.com/hpcloud/tail beside it got %d of %d lines of %s", n, lines, name)
	}
	if err := x.child.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := x.child.cmd.Wait(); err != nil {
		t.Errorf("the agent did not end in order: %v", err)
	}
}

// killer freezes the broker, lets the writers go on until batches are unacknowledged, kills the agent, and starts it
// again, once per phase. It returns how often batches were unacknowledged.
func (x *torture) killer() int {
	withPending := 0
	for i := range x.phases - 1 {
		eventually(x.t, 5*time.Minute, "the agent ships", func() bool { return x.seenTotal() > int64(i*3*x.lines/x.phases) })
		x.alive.Lock()
		x.freeze(true)
		_, next := pendingPlans(x.t, x.child.dir, 0)
		x.nextPhase()
		eventually(x.t, time.Minute, "batches are unacknowledged", func() bool {
			pending, _ := pendingPlans(x.t, x.child.dir, next)
			return pending > 0
		})
		pending := x.child.kill()
		x.freeze(false)
		if pending > 0 {
			withPending++
		}
		x.t.Logf("kill %d: %d batches unacknowledged, %d lines in the topic", i+1, pending, x.seenTotal())
		x.child.start()
		x.alive.Unlock()
	}
	return withPending
}

func (x *torture) seenTotal() int64 {
	return x.set("rename").total.Load() + x.set("copytruncate").total.Load() + x.set("delete").total.Load()
}

// verify waits for all required lines and checks that none came twice.
func (x *torture) verify() {
	needs := map[string][]bool{"rename": x.required("rename"), "copytruncate": x.required("copytruncate"), "delete": make([]bool, x.lines)}
	for i := range needs["delete"] {
		needs["delete"][i] = true
	}
	missing := func(name string) (n, first int) {
		set := x.set(name)
		x.seenMu.Lock()
		defer x.seenMu.Unlock()
		first = -1
		for i, need := range needs[name] {
			if need && set.counts[i] == 0 {
				if first < 0 {
					first = i
				}
				n++
			}
		}
		return n, first
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for time.Since(since) < time.Minute {
		<-tick.C
		if n := x.seenTotal(); n != last {
			last, since = n, time.Now()
		}
		a, _ := missing("rename")
		b, _ := missing("copytruncate")
		c, _ := missing("delete")
		if a+b+c == 0 && time.Since(since) > 4*time.Second { // longer than CopyHold: a copy taken for a new file would show
			break
		}
	}
	for name := range needs {
		if n, first := missing(name); n > 0 {
			x.t.Errorf("%s: %d lines are missing, the first is %d", name, n, first)
		}
		set := x.set(name)
		twice, first := 0, -1
		x.seenMu.Lock()
		for i, n := range set.counts {
			if n > 1 {
				if first < 0 {
					first = i
				}
				twice++
			}
		}
		x.seenMu.Unlock()
		if twice > 0 {
			x.t.Errorf("%s: %d lines came more than once, the first is %d", name, twice, first)
		}
	}
}

// verifyOrder checks that each generation is in one partition, in the order of its offsets.
func (x *torture) verifyOrder(all []line) {
	type place struct {
		partition   int32
		at, inTopic int64
	}
	last := map[string]place{}
	slices.SortStableFunc(all, func(a, b line) int {
		if a.partition != b.partition {
			return int(a.partition - b.partition)
		}
		return int(a.offset - b.offset)
	})
	for _, l := range all {
		p, ok := last[l.origin.File]
		if ok && (p.partition != l.partition || p.at >= l.origin.Offset) {
			x.t.Errorf("file %s: offset %d in partition %d at %d after %d in %d at %d", l.origin.File, l.origin.Offset, l.partition, l.offset, p.at, p.partition, p.inTopic)
			return
		}
		last[l.origin.File] = place{l.partition, l.origin.Offset, l.offset}
	}
}

// tailAll follows the same files with github.com/hpcloud/tail. The returned function stops it and tells how many different lines it got.
func tailAll(t *testing.T, logs string, names []string) func() map[string]int {
	var wg sync.WaitGroup
	var tails []*tail.Tail
	got := map[string]int{}
	var mu sync.Mutex
	for _, name := range names {
		tl, err := tail.TailFile(filepath.Join(logs, name+".log"), tail.Config{Follow: true, ReOpen: true, Logger: tail.DiscardingLogger})
		if err != nil {
			t.Fatal(err)
		}
		tails = append(tails, tl)
		wg.Go(func() {
			seen := map[string]bool{}
			for l := range tl.Lines {
				if strings.HasSuffix(l.Text, padding) && strings.HasPrefix(l.Text, name+" ") {
					seen[l.Text[:len(l.Text)-len(padding)]] = true
				}
			}
			mu.Lock()
			got[name] = len(seen)
			mu.Unlock()
		})
	}
	return func() map[string]int {
		for _, tl := range tails {
			if err := tl.Stop(); err != nil {
				t.Log(err)
			}
			tl.Cleanup()
		}
		wg.Wait()
		return got
	}
}
