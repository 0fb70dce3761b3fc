package compat

import (
	"os/exec"
	"strings"
	"testing"
)

// background is another project's program that runs beside the test.
type background struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *lines
	ended  chan struct{}
	failed bool // once ended
}

// startBackground runs a program until it ends, is killed, or the test is over; a test
// that fails logs what it printed last.
func startBackground(t *testing.T, name string, cmd *exec.Cmd) *background {
	t.Helper()
	p := &background{t: t, cmd: cmd, out: &lines{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failed = cmd.Wait() != nil
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if text := p.out.String(); t.Failed() {
			t.Log(name + ":\n" + text[max(0, len(text)-4000):])
		}
	})
	return p
}

// kill is kill -9; it does nothing to one that has ended.
func (p *background) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
}

func (p *background) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// says waits until the program has printed what.
func (p *background) says(what string) {
	p.t.Helper()
	eventuallyWithin(p.t, javaLimit, "the program says "+what, func() bool { return !p.running() || strings.Contains(p.out.String(), what) })
	if !strings.Contains(p.out.String(), what) {
		p.t.Fatalf("the program ended and did not say %q", what)
	}
}
