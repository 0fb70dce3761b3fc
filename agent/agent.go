package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/agent/ship"
	"github.com/millrace/millrace/configs"
)

// Options of an agent.
type Options struct {
	// Dir is the agent's data directory: the registry and a lock.
	Dir    string
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer
	// Machine tells this machine from a clone of it; empty takes the host's machine id.
	Machine string
	// DrainFor bounds how long Run delivers after its context has ended; 0 is 8 s.
	DrainFor time.Duration
	// CopyHold is how long a file that begins like another is taken for its copy before it is read as a file of its own; 0 is
	// 10 s. It is a bound for the time that copytruncate takes from its last copied byte to the truncation.
	CopyHold time.Duration
}

// Agent reads the files of its inputs and ships their lines.
type Agent struct {
	cfg     configs.Agent
	kafka   configs.Kafka
	o       Options
	logger  *slog.Logger
	metrics *metrics
	lock    *os.File
	reg     *registry.Registry
	inputs  []*input
	// What was logged once.
	watchFailed bool
	openFailed  map[string]bool
}

// New checks the configuration, locks the data directory and opens the
// registry. Run has to be called; it closes what New opened.
func New(cfg configs.Agent, kafka configs.Kafka, o Options) (_ *Agent, err error) {
	a := &Agent{cfg: cfg, kafka: kafka, o: o, logger: o.Logger, openFailed: map[string]bool{}}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if o.DrainFor == 0 {
		a.o.DrainFor = 8 * time.Second
	}
	if o.CopyHold == 0 {
		a.o.CopyHold = 10 * time.Second
	}
	if o.Machine == "" {
		a.o.Machine = machineID()
	}
	a.fillDefaults()
	if a.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.lock.Close())
		}
	}()
	if a.reg, err = registry.Open(filepath.Join(o.Dir, "registry"), registry.Options{Logger: a.logger}); err != nil {
		return nil, err
	}
	if err = a.identify(); err != nil {
		return nil, errors.Join(err, a.reg.Close())
	}
	if a.inputs, err = newInputs(a.cfg, a.reg.Meta().Agent, a.reg); err != nil {
		return nil, errors.Join(err, a.reg.Close())
	}
	if err = a.markInputs(); err != nil {
		return nil, errors.Join(err, a.reg.Close())
	}
	if a.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, errors.Join(fmt.Errorf("register the agent's metrics: %w", err), a.reg.Close())
	}
	return a, nil
}

// fillDefaults puts the built-in value where a setting is missing, for
// configurations that are made in code.
func (a *Agent) fillDefaults() {
	d := configs.Default().Agent
	c := &a.cfg
	if c.UnackedMax == 0 {
		c.UnackedMax = d.UnackedMax
	}
	if c.BatchMax == 0 {
		c.BatchMax = d.BatchMax
	}
	if c.Compression == "" {
		c.Compression = d.Compression
	}
	for _, p := range []struct{ have, def *configs.Duration }{
		{&c.RescanInterval, &d.RescanInterval}, {&c.CloseInactive, &d.CloseInactive}, {&c.BackoffMax, &d.BackoffMax},
	} {
		if *p.have == 0 {
			*p.have = *p.def
		}
	}
	if c.OpenFilesMax == 0 {
		c.OpenFilesMax = d.OpenFilesMax
	}
}

// identify mints the agent's id, and another one on a clone of the machine: two agents with one id would give
// different lines the same identity.
func (a *Agent) identify() error {
	meta := a.reg.Meta()
	clone := meta.Agent != "" && meta.Machine != "" && a.o.Machine != "" && meta.Machine != a.o.Machine
	if meta.Agent != "" && !clone {
		return nil
	}
	a.reg.SetIdentity(newAgentID(), a.o.Machine)
	if clone {
		a.logger.Warn("the registry comes from another machine: this agent takes an id and producer ids of its own",
			"was", meta.Agent, "agent", a.reg.Meta().Agent)
		a.reg.Fork()
	}
	return a.reg.SyncAll()
}

// markInputs makes durable when each input was first looked at, before anything is read: a file that is born
// later and rotated away before it was read is then known to be the input's, even if this process is killed at once. An
// input that starts at the end is marked by its first look, which finds those ends.
func (a *Agent) markInputs() error {
	now := time.Now().UnixMilli()
	for _, in := range a.inputs {
		if in.first && !in.fromEnd {
			in.first, in.seenMs = false, now
			a.reg.SetInputSeen(in.name, now)
		}
	}
	return a.reg.SyncAll()
}

// ID is the agent's id, the header of the same name.
func (a *Agent) ID() string { return a.reg.Meta().Agent }

// Run reads and ships until ctx ends, then delivers what is read (at most for
// DrainFor), closes the registry and returns nil.
func (a *Agent) Run(ctx context.Context) error {
	var err error
	for {
		err = a.runOnce(ctx)
		if !errors.Is(err, ship.ErrPartitions) || ctx.Err() != nil {
			break
		}
		a.logger.Warn("the files of the partitions that are gone are read again from their last acknowledged line", "error", err)
	}
	if errors.Is(err, ship.ErrPartitions) {
		err = nil
	}
	return errors.Join(err, a.reg.Close(), a.lock.Close())
}

// runOnce runs one collector and one shipper.
func (a *Agent) runOnce(ctx context.Context) error {
	c, err := newCollector(a)
	if err != nil {
		return err
	}
	shipper, err := ship.New(ship.Options{
		Kafka: a.kafka, Registry: a.reg, Logger: a.logger, Observer: c,
		BackoffMax: a.cfg.BackoffMax.D(), LaneMax: max(7*int64(a.cfg.BatchMax), int64(a.cfg.UnackedMax)/4),
	})
	if err != nil {
		return errors.Join(err, c.watcher.Close(), c.close())
	}
	c.shipper = shipper
	c.restore()
	shipCtx, stopShipper := context.WithCancel(context.WithoutCancel(ctx))
	defer stopShipper()
	shipped := make(chan error, 1)
	go func() { shipped <- shipper.Run(shipCtx) }()
	readCtx, stopReading := context.WithCancel(ctx)
	defer stopReading()
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.run(readCtx)
	}()
	select {
	case err := <-shipped:
		stopReading()
		<-read
		return errors.Join(err, c.close())
	case <-read:
	}
	drain, cancel := context.WithTimeout(shipCtx, a.o.DrainFor)
	defer cancel()
	if shipper.Drained(drain) != nil {
		a.logger.Warn("the cluster did not acknowledge all lines in time: the next start sends them", "bytes", c.unacked.Load())
	}
	stopShipper()
	return errors.Join(<-shipped, c.close())
}
