package agent_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
)

// must fails the test for an error of its own making.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nothingMore checks that no further line comes for a while.
func nothingMore(t *testing.T, lines *reader, d time.Duration) {
	t.Helper()
	if more := lines.quiet(d); len(more) > 0 {
		t.Fatalf("lines came that are repeated or not ours: %q", values(more))
	}
}

// scenarioDeleted writes to a file that has no name any more.
func scenarioDeleted(t *testing.T, r *rig) {
	f, err := os.Create(r.path("x.log"))
	must(t, err)
	_, err = f.WriteString("1\n")
	must(t, err)
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "1")
	must(t, os.Rename(r.path("x.log"), r.path("x.log.1")))
	must(t, os.Remove(r.path("x.log.1")))
	r.write("x.log", "new\n")
	for _, text := range []string{"2\n", "3\n"} {
		_, err = f.WriteString(text)
		must(t, err)
		// Longer than a closed file is kept: its writer keeps it.
		lines.next(2 - strings.Count(text, "3"))
		nothingMore(t, lines, 1500*time.Millisecond)
	}
	_, err = f.WriteString("tail without newline")
	must(t, err)
	must(t, f.Close())
	expect(t, lines, "tail without newline")
	eventually(t, 60*time.Second, "the deleted file is closed", func() bool { return r.metric("millrace_agent_files_open") == 1 })
	if n := r.metric("millrace_agent_lines_lost_total"); n != 0 {
		t.Fatalf("%v lines are counted as lost", n)
	}
}

// scenarioInodeReuse removes and creates files so that inodes come again.
func scenarioInodeReuse(t *testing.T, r *rig) {
	r.start()
	inodes := map[uint64]bool{}
	reused := 0
	r.write("x.log", "same first line\n0\n")
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	for i := range 12 {
		must(t, os.Remove(r.path("x.log")))
		eventually(t, 60*time.Second, "the deleted file is closed", func() bool { return r.metric("millrace_agent_files_open") == 0 })
		text := strings.Repeat("x", i+1)
		r.write("x.log", "same first line\n"+text+"\n")
		fi, err := os.Stat(r.path("x.log"))
		must(t, err)
		inode := fi.Sys().(*syscall.Stat_t).Ino
		if inodes[inode] {
			reused++
		}
		inodes[inode] = true
		expect(t, lines, "same first line", text)
	}
	if reused == 0 {
		t.Log("the file system handed no inode out twice: the test has shown less than it can")
	}
	files := map[string]bool{}
	for _, l := range lines.have {
		files[l.origin.File] = true
	}
	if len(files) != 13 {
		t.Fatalf("%d file ids for 13 generations", len(files))
	}
}

// scenarioOfflineReuse does the same while no agent runs.
func scenarioOfflineReuse(t *testing.T, r *rig) {
	r.write("x.log", "same first line\none\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	must(t, r.stop())
	must(t, os.Remove(r.path("x.log")))
	r.write("x.log", "same first line\ntwo\nthree\n")
	r.start()
	expect(t, lines, "same first line", "two", "three")
	nothingMore(t, lines, time.Second)
}

// scenarioLinks reads a file once that has many names.
func scenarioLinks(t *testing.T, r *rig) {
	r.write("real.log", "1\n")
	must(t, os.Symlink(r.path("real.log"), r.path("soft.log")))
	must(t, os.Link(r.path("real.log"), r.path("hard.log")))
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "1")
	r.write("soft.log", "2\n")
	expect(t, lines, "2")
	nothingMore(t, lines, 2*time.Second)
	must(t, os.Remove(r.path("real.log")))
	r.write("hard.log", "3\n")
	expect(t, lines, "3")
	nothingMore(t, lines, 2*time.Second)
}

// scenarioTruncatedOffline rotates twice by copytruncate while no agent runs; the unread bytes are in copies only.
func scenarioTruncatedOffline(t *testing.T, r *rig) {
	r.write("x.log", "1\n2\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	must(t, r.stop())
	r.write("x.log", "3\n")
	r.copyTruncate("x.log", "x.log.2")
	r.write("x.log", "4 a longer line than before\n5\n")
	r.copyTruncate("x.log", "x.log.1")
	r.write("x.log", "6\n")
	r.start()
	expect(t, lines, "3", "4 a longer line than before", "5", "6")
	nothingMore(t, lines, 4*time.Second)
	r.restart()
	nothingMore(t, lines, 4*time.Second)
}

// scenarioRenamedOffline rotates twice by rename while no agent runs, to names that no glob matches.
func scenarioRenamedOffline(t *testing.T, r *rig) {
	r.write("x.log", "1\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(1)
	must(t, r.stop())
	r.write("x.log", "2\n")
	must(t, os.Rename(r.path("x.log"), r.path("x.log.2")))
	r.write("x.log", "3\n")
	must(t, os.Rename(r.path("x.log"), r.path("x.log.1")))
	r.write("x.log", "4\n")
	r.start()
	expect(t, lines, "2", "3", "4")
	nothingMore(t, lines, 3*time.Second)
}

// scenarioPlainCopy copies a file without truncating it: outside the globs it
// is not read, inside it is a file of its own.
func scenarioPlainCopy(t *testing.T, r *rig) {
	r.write("x.log", "1\n2\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	must(t, copyFile(r.path("x.log"), r.path("x.log.1")))
	nothingMore(t, lines, 4*time.Second)
	must(t, copyFile(r.path("x.log"), r.path("x-2.log")))
	expect(t, lines, "1", "2")
	r.write("x.log", "3\n")
	expect(t, lines, "3")
	nothingMore(t, lines, 3*time.Second)
}

// scenarioCopyInGlob is copytruncate where the copy matches the glob too.
func scenarioCopyInGlob(t *testing.T, r *rig) {
	r.cfg.Inputs[0].Include = []string{r.path("*.log*")}
	scenarioCopyTruncate(t, r)
	// The same copy is overwritten in place.
	r.copyTruncate("x.log", "x.log.1")
	r.write("x.log", "once more\n")
	again := newReader(t, r.bootstrap, r.topic)
	expect(t, again, strings.Split(strings.Repeat("a line\n", 1000)+"after\nonce more", "\n")...)
	nothingMore(t, again, 3*time.Second)
}

// scenarioSparse is a writer that does not append: after the truncation it
// goes on at its own offset, and the file begins with a hole.
func scenarioSparse(t *testing.T, r *rig) {
	f, err := os.OpenFile(r.path("x.log"), os.O_CREATE|os.O_WRONLY, 0o644)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString(strings.Repeat("before\n", 2000))
	must(t, err)
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2000)
	r.copyTruncate("x.log", "x.log.1")
	_, err = f.WriteString("after\n")
	must(t, err)
	expect(t, lines, "after")
	if got := lines.have[2000].origin.Offset; got != 14000 {
		t.Fatalf("offset %d, want 14000", got)
	}
	nothingMore(t, lines, 3*time.Second)
}

// scenarioLostBytes truncates without a copy what was not read.
func scenarioLostBytes(t *testing.T, r *rig) {
	r.write("x.log", "1\nunfinished") // at once: who has read the line has seen how long the file is
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(1)
	must(t, os.Truncate(r.path("x.log"), 0))
	r.write("x.log", "2\n")
	expect(t, lines, "2")
	eventually(t, 60*time.Second, "the loss is counted", func() bool { return r.metric("millrace_agent_bytes_lost_total") == 10 })
	if !strings.Contains(r.output.String(), "bytes are lost") {
		t.Fatal("the loss is not named")
	}
}

// scenarioLastLine ships a last line without newline once the file is closed.
func scenarioLastLine(t *testing.T, r *rig) {
	r.cfg.CloseInactive = configs.Duration(time.Second)
	r.write("x.log", "one\ntwo")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "one", "two")
	r.write("x.log", "three\n")
	expect(t, lines, "three")
	if l := lines.have[2]; l.origin.Offset != 7 {
		t.Fatalf("offset %d, want 7", l.origin.Offset)
	}
}
