package e2e

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
)

// ledger counts lines by their content. What was written and what was found
// are two ledgers that must be equal.
type ledger struct {
	mu    sync.Mutex
	seed  maphash.Seed
	count map[uint64]int
	lines int
	bytes int64
}

func newLedger() *ledger { return &ledger{seed: maphash.MakeSeed(), count: map[uint64]int{}} }

// like returns an empty ledger that can be compared with l.
func (l *ledger) like() *ledger { return &ledger{seed: l.seed, count: map[uint64]int{}} }

// add notes one line, without its line end, as documents show it.
func (l *ledger) add(line []byte) {
	text := strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte{'\r'})), "\uFFFD")
	h := maphash.String(l.seed, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count[h]++
	l.lines++
	l.bytes += int64(len(line)) + 1
}

func (l *ledger) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines
}

// compare returns how many lines are missing in found and how many are there
// too often.
func (l *ledger) compare(found *ledger) error {
	var missing, repeated int
	for h, want := range l.count {
		if got := found.count[h]; got < want {
			missing += want - got
		} else {
			repeated += got - want
		}
	}
	for h, got := range found.count {
		if _, known := l.count[h]; !known {
			repeated += got
		}
	}
	if missing != 0 || repeated != 0 {
		return fmt.Errorf("%d lines written, %d found: %d missing, %d repeated or foreign", l.lines, found.lines, missing, repeated)
	}
	return nil
}
