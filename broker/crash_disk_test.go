package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"

	"github.com/millrace/millrace/internal/vfs"
)

var errDead = errors.New("the machine is dead")

// errRefused is what clients see of that.
var errRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// doomedDisk is a disk in memory whose machine loses power at a chosen change of
// it. From that moment on every call waits until bury is called, and then fails, so
// that a node that does not know yet that it is dead can tell nobody anything.
type doomedDisk struct {
	vfs.FS
	mem    *vfs.Mem
	mode   vfs.CrashMode
	random *rand.Rand
	// before and after are called around the crash, with what clients know by then.
	before, after func()

	mu      sync.Mutex
	left    int // changes until the crash
	crashed chan struct{}
	buried  chan struct{}
	// found is what a start after the crash finds; set when crashed is closed.
	found *vfs.Mem
}

func newDoomedDisk(mem *vfs.Mem, mode vfs.CrashMode, seed uint64, changes int, before, after func()) *doomedDisk {
	d := &doomedDisk{
		mem: mem, mode: mode, random: rand.New(rand.NewPCG(seed, 0)), before: before, after: after,
		left: changes, crashed: make(chan struct{}), buried: make(chan struct{}),
	}
	d.FS = vfs.Observe(mem, vfs.Hooks{Before: d.call, After: d.called})
	return d
}

func (d *doomedDisk) call(op vfs.Op) error {
	select {
	case <-d.crashed:
		<-d.buried
		if op.Kind == "close" {
			return nil
		}
		return errDead
	default:
		return nil
	}
}

// called counts a change. One that was under way at the crash is not in found: whoever
// made it must not hear that it was.
func (d *doomedDisk) called(op vfs.Op) {
	d.count(op)
	select {
	case <-d.crashed:
		<-d.buried
	default:
	}
}

func (d *doomedDisk) count(op vfs.Op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !op.Changes() || d.left == 0 {
		return
	}
	if d.left--; d.left == 0 {
		d.before()
		d.found = d.mem.Crash(d.mode, d.random)
		d.after()
		close(d.crashed)
	}
}

// bury lets the calls that wait fail.
func (d *doomedDisk) bury() { close(d.buried) }

// cutNet leads all connections to the node that lives at present, whatever address
// is asked for, and can cut them as a machine that loses power does.
type cutNet struct {
	mu    sync.Mutex
	addr  string // empty: nobody is there
	conns []net.Conn
}

func (c *cutNet) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	c.mu.Lock()
	addr := c.addr
	c.mu.Unlock()
	if addr == "" {
		return nil, errRefused
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addr != addr {
		return nil, errors.Join(errRefused, conn.Close())
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

// lead sends new connections to addr; with none there are none.
func (c *cutNet) lead(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addr = addr
	if addr == "" {
		for _, conn := range c.conns {
			_ = conn.Close() // the client may have closed it before
		}
		c.conns = nil
	}
}
