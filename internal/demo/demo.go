// Package demo writes the logs of three made-up services, so that "millrace up
// --demo" has something real to carry: a web server's access log that is rotated
// by rename, a Java application's log with stack traces, and a JSON log that is
// rotated by copying and truncating. Every minute there is a burst of errors
// that the shipped rules (configs/examples/demo) raise alerts for.
//
// A [Writer] owns the files below its folder: it appends to those that it finds
// and keeps a few rotated ones, so that the folder stays below about 40 MB.
// What it writes follows from the time and a seed; see [Options]. A file that
// cannot be written ends [Writer.Run] with an error.
package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Options change how a [Writer] writes. The zero value is the demonstration.
type Options struct {
	// LinesPerSecond of all services together; 0 means 200.
	LinesPerSecond int
	// RotateBytes is the size at which a file is rotated; 0 means 4 MiB.
	RotateBytes int64
	// Seed of the pseudo-random content; 0 takes one from the time.
	Seed uint64
	// Ticks gives the times at which lines are written, each followed by a
	// write; nil means ten times a second. Closing it ends Run.
	Ticks <-chan time.Time
}

// Bounds and shape of the demonstration.
const (
	linesPerSecondDefault = 200
	rotateBytesDefault    = 4 << 20
	tickInterval          = 100 * time.Millisecond
	// burstEvery and burstLength say when services fail: in the last seconds
	// of each minute.
	burstEvery  = time.Minute
	burstLength = 6 * time.Second
	// truncateQuiet is how long nothing is written before a file is copied and
	// truncated, so that its reader has all of it.
	truncateQuiet = 3 * time.Second
)

// Writer writes the logs.
type Writer struct {
	dir      string
	options  Options
	services []*service
}

// service is one log with its share of the lines.
type service struct {
	log  logFile
	next func(r *rand.Rand, at time.Time, burst bool) string
	// share of the lines, in percent.
	share int
	// owed are the lines not yet written, in hundredths of a line.
	owed int
}

// New returns a writer of logs below dir. Nothing is written before Run.
func New(dir string, o Options) *Writer {
	if o.LinesPerSecond <= 0 {
		o.LinesPerSecond = linesPerSecondDefault
	}
	if o.RotateBytes <= 0 {
		o.RotateBytes = rotateBytesDefault
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	return &Writer{dir: dir, options: o, services: []*service{
		{log: &renamed{path: filepath.Join(dir, "web", "access.log"), bytesMax: o.RotateBytes}, next: accessLine, share: 60},
		{log: &renamed{path: filepath.Join(dir, "app", "application.log"), bytesMax: o.RotateBytes}, next: applicationEvent, share: 10},
		{log: &truncated{path: filepath.Join(dir, "service", "payments.json"), bytesMax: o.RotateBytes}, next: paymentLine, share: 30},
	}}
}

// Run writes until ctx ends, and returns nil then.
func (w *Writer) Run(ctx context.Context) (err error) {
	for _, s := range w.services {
		if err := s.log.open(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.log.close()) }()
	}
	ticks := w.options.Ticks
	if ticks == nil {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	r := rand.New(rand.NewPCG(w.options.Seed, 1))
	for {
		select {
		case <-ctx.Done():
			return nil
		case at, ok := <-ticks:
			if !ok {
				return nil
			}
			if err := w.tick(r, at); err != nil {
				return err
			}
		}
	}
}

// tick writes the lines of one tick.
func (w *Writer) tick(r *rand.Rand, at time.Time) error {
	burst := inBurst(at)
	perTick := w.options.LinesPerSecond * int(tickInterval/time.Millisecond) / 10
	for _, s := range w.services {
		quiet, err := s.log.rotate(at)
		if err != nil {
			return err
		}
		if quiet {
			continue
		}
		s.owed += perTick * s.share / 100
		n := s.owed / 100
		s.owed -= n * 100
		var text []byte
		for i := range n {
			// The lines lie between the tick before and this one, in order.
			lineAt := at.Add(-tickInterval * time.Duration(n-1-i) / time.Duration(n))
			text = append(append(text, s.next(r, lineAt, burst)...), '\n')
		}
		if err := s.log.write(text); err != nil {
			return err
		}
	}
	return nil
}

// inBurst reports whether the services fail at this time.
func inBurst(at time.Time) bool {
	return at.Sub(at.Truncate(burstEvery)) >= burstEvery-burstLength
}

// makeFolder makes the folder of a log.
func makeFolder(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	return nil
}
