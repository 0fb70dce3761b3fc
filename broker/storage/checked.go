package storage

import "sync"

// checkedParts says which bytes of a segment this process has seen to have the right
// checksums: what it appended, and one run of what it has read.
type checkedParts struct {
	mu sync.Mutex
	// appendedFrom is where appending began, 0 for a segment that this process made.
	appendedFrom int64
	appending    bool
	readFrom     int64
	readTo       int64
}

// appends says that all bytes from a position on are checked before they are written.
func (v *checkedParts) appends(from int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.appendedFrom, v.appending = from, true
}

// read adds what was read and checked. Of two runs with a gap between them the
// newer one stays: readers go forward.
func (v *checkedParts) read(from, to int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if from > v.readTo || to < v.readFrom {
		v.readFrom, v.readTo = from, to
		return
	}
	v.readFrom, v.readTo = min(v.readFrom, from), max(v.readTo, to)
}

// covers says whether all of a stretch is verified.
func (v *checkedParts) covers(from, to int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.appending && from >= v.appendedFrom {
		return true
	}
	if from < v.readFrom {
		return false
	}
	return to <= v.readTo || v.appending && v.readTo >= v.appendedFrom
}

// forget makes whoever wants the segment's bytes read and check them again.
func (v *checkedParts) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.appending, v.readFrom, v.readTo = false, 0, 0
}
