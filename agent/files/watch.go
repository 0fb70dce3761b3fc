package files

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Changes is what a watcher has seen since it was last asked.
type Changes struct {
	// Folders in which names have come or gone.
	Folders map[string]bool
	// Files that were written to, by path.
	Files map[string]bool
	// Overflow says that events were lost: look at everything.
	Overflow bool
}

// Watcher watches directories. Events are gathered, so that a thousand writes
// cost little more than one.
type Watcher struct {
	fs    *fsnotify.Watcher
	pause time.Duration
	ready chan struct{}

	mu      sync.Mutex
	changes Changes
	watched map[string]bool
}

// NewWatcher begins without any directory.
func NewWatcher() (*Watcher, error) {
	w, err := fsnotify.NewBufferedWatcher(drainMax)
	if err != nil {
		return nil, fmt.Errorf("watch directories: %w", err)
	}
	return &Watcher{
		fs: w, pause: 2 * time.Millisecond, ready: make(chan struct{}, 1),
		changes: emptyChanges(), watched: map[string]bool{},
	}, nil
}

func emptyChanges() Changes {
	return Changes{Folders: map[string]bool{}, Files: map[string]bool{}}
}

// Ready receives after something has changed. It has room for one signal.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Take returns the changes so far and forgets them.
func (w *Watcher) Take() Changes {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes
	w.changes = emptyChanges()
	return c
}

// Add watches a directory. It reports whether the directory was not watched before: what is in it has then to be
// looked at once more, after Add.
func (w *Watcher) Add(dir string) (added bool, err error) {
	w.mu.Lock()
	known := w.watched[dir]
	w.mu.Unlock()
	if known {
		return false, nil
	}
	if err := w.fs.Add(dir); err != nil {
		return false, fmt.Errorf("watch %s: %w", dir, err)
	}
	w.mu.Lock()
	w.watched[dir] = true
	w.mu.Unlock()
	return true, nil
}

// Close ends a watcher that Run was not called of.
func (w *Watcher) Close() error { return w.fs.Close() }

// Run gathers events until ctx ends. It closes the watcher.
func (w *Watcher) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return w.fs.Close()
		case ev, ok := <-w.fs.Events:
			if !ok {
				return nil
			}
			w.gather(ev)
		case err, ok := <-w.fs.Errors:
			if !ok {
				return nil
			}
			w.fail(err)
		}
		// While nobody drains, the kernel merges equal events.
		timer.Reset(w.pause)
		select {
		case <-ctx.Done():
			return w.fs.Close()
		case <-timer.C:
		}
		w.drain()
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
}

// drainMax bounds the events that are taken between two pauses.
const drainMax = 4096

func (w *Watcher) drain() {
	for range drainMax {
		select {
		case ev, ok := <-w.fs.Events:
			if !ok {
				return
			}
			w.gather(ev)
		case err := <-w.fs.Errors:
			w.fail(err)
		default:
			return
		}
	}
}

func (w *Watcher) gather(ev fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ev.Has(fsnotify.Write):
		w.changes.Files[ev.Name] = true
	case ev.Has(fsnotify.Create), ev.Has(fsnotify.Remove), ev.Has(fsnotify.Rename):
		if w.watched[ev.Name] && !ev.Has(fsnotify.Create) {
			delete(w.watched, ev.Name) // the directory itself is gone
		}
		w.changes.Folders[filepath.Dir(ev.Name)] = true
	}
}

func (w *Watcher) fail(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		w.changes.Overflow = true
	}
}
