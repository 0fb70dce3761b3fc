package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"sort"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// The entries of index files are looked up where they are: of a closed segment
// nothing is in memory, of the one that is written only what was added since
// the last checkpoint. A search takes about ten small preads from the page cache. What
// it finds is held against the batch that it leads to, so that a damaged index, which
// has no checksum, costs time and never gives wrong records.

// searchBlock is how many entries the end of a search reads at once.
const searchBlock = 64

var errIndexDamaged = errors.New("index does not fit the log")

// floorInFile returns how many of the first n entries of an index file are at or before
// relative, and the last of these. Entries of zeros after the first are the room that
// Kafka leaves at the end of a file.
func floorInFile(f io.ReaderAt, n int, relative int64) (count int, last offsetEntry, err error) {
	return lastInFile(f, n, func(e offsetEntry) bool { return int64(e.relative) > relative })
}

// lastInFile returns how many of the first n entries of an index file come before those
// that are beyond what is looked for, and the last of them.
func lastInFile(f io.ReaderAt, n int, beyond func(offsetEntry) bool) (count int, last offsetEntry, err error) {
	var buf [searchBlock * offsetEntrySize]byte
	at := func(i, m int) []byte {
		b := buf[:m*offsetEntrySize]
		if readErr := readFull(f, b, int64(i)*offsetEntrySize); readErr != nil {
			err = errors.Join(err, readErr)
			clear(b)
		}
		return b
	}
	after := func(i int, b []byte) bool {
		e := decodeOffsetEntry(b)
		return beyond(e) || i > 0 && e == offsetEntry{}
	}
	low, high := 0, n
	if last := n - searchBlock; last > 0 {
		// What a start looks for, and who reads what is newest, is in the last block.
		if after(last, at(last, 1)) {
			high = last
		} else {
			low = last
		}
	}
	for high-low > searchBlock && err == nil {
		middle := int(uint(low+high) / 2)
		if after(middle, at(middle, 1)) {
			high = middle
		} else {
			low = middle
		}
	}
	if err != nil || high == 0 {
		return 0, offsetEntry{}, err
	}
	block := at(low, high-low)
	count = sort.Search(high-low, func(i int) bool { return after(low+i, block[i*offsetEntrySize:]) })
	if count > 0 {
		last = decodeOffsetEntry(block[(count-1)*offsetEntrySize:])
	}
	if count > 0 && low+count == 1 && last == (offsetEntry{}) {
		return 0, offsetEntry{}, err // room only: no batch that has an entry begins at 0
	}
	return low + count, last, err
}

func decodeOffsetEntry(b []byte) offsetEntry {
	return offsetEntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

func decodeTimeEntry(b []byte) timeEntry {
	return timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
}

// timesInFile returns how many of the first n entries of a time index file are at or before
// relative, and the last of these.
func timesInFile(f io.ReaderAt, n int, relative uint32) (count int, last timeEntry, err error) {
	var b [timeEntrySize]byte
	at := func(i int) timeEntry {
		if readErr := readFull(f, b[:], int64(i)*timeEntrySize); readErr != nil {
			err = errors.Join(err, readErr)
			return timeEntry{}
		}
		return decodeTimeEntry(b[:])
	}
	after := func(i int) bool {
		e := at(i)
		return e.relative > relative || i > 0 && e == timeEntry{}
	}
	if count = n; n > 0 && after(n-1) { // a start looks for the last one
		count = sort.Search(n-1, after)
	}
	if count > 0 {
		last = at(count - 1)
	}
	var before timeEntry
	if count > 1 {
		before = at(count - 2)
	}
	if last.timestamp < 0 || count > 1 && (last.timestamp <= before.timestamp || last.relative <= before.relative) {
		err = errors.Join(err, errIndexDamaged)
	}
	return count, last, err
}

// openIndexFile opens one of the index files and returns how many entries it has.
func (s *segment) openIndexFile(c *handleCache, suffix string, entrySize int64) (f vfs.File, entries int, err error) {
	s.openMu.Lock() // compaction renames files
	defer s.openMu.Unlock()
	if s.gone {
		return nil, 0, s.goneError()
	}
	if f, err = c.open(func() (vfs.File, error) { return s.fs.Open(s.path(suffix)) }); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, int(min(info.Size()/entrySize, math.MaxInt32)), nil
}

// position returns where to start looking for offset: the beginning of a batch
// at or before it.
func (s *segment) position(h *handle, c *handleCache, offset int64) (int64, error) {
	filed := math.MaxInt
	if x := s.index.Load(); x != nil {
		recent := x.offsets.view()
		if x.filedOffsets == 0 || len(recent) > 0 && offset-s.base >= int64(recent[0].relative) {
			return floorPosition(recent, s.base, offset), nil
		}
		filed = x.filedOffsets
	}
	if offset <= s.base {
		return 0, nil
	}
	if rebuilt := h.index.Load(); rebuilt != nil {
		return floorPosition(*rebuilt, s.base, offset), nil
	}
	position, err := s.searchFile(h, c, filed, offset)
	switch {
	case err == nil:
		return position, nil
	case s.extraSuffix() == "" && s.damagedIndex(err):
		return s.positionRebuilt(h, offset)
	}
	return 0, err
}

// damagedIndex tells an index that is of no use from files that cannot be opened.
func (s *segment) damagedIndex(err error) bool {
	if errors.Is(err, errIndexDamaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = s.fs.Stat(s.path(suffixLog))
	return err == nil
}

// searchFile looks offset up in the first filed entries of the index file.
func (s *segment) searchFile(h *handle, c *handleCache, filed int, offset int64) (position int64, err error) {
	f, n, err := s.openIndexFile(c, suffixIndex, offsetEntrySize)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	count, e, err := floorInFile(f, min(n, filed), offset-s.base)
	if err != nil || count == 0 {
		return 0, err
	}
	if _, ok := s.batchOf(h.file, e); !ok {
		return 0, fmt.Errorf("%w: entry %d of %s", errIndexDamaged, count-1, f.Name())
	}
	return int64(e.position), nil
}

// batchOf returns the base offset of the batch that an entry leads to; false when
// there is another one, or none.
func (s *segment) batchOf(f io.ReaderAt, e offsetEntry) (base int64, ok bool) {
	var head [batch.HeaderSize]byte
	if readFull(f, head[:], int64(e.position)) != nil {
		return 0, false
	}
	h, err := batch.ParseHeader(head[:])
	return h.BaseOffset, err == nil && h.LastOffset() == s.base+int64(e.relative) && h.BaseOffset >= s.base
}

// positionRebuilt makes a sample of the index again from the batches, which
// the handle keeps.
func (s *segment) positionRebuilt(h *handle, offset int64) (int64, error) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	if s.gone {
		return 0, s.goneError()
	}
	if h.index.Load() == nil {
		x, err := s.rebuildIndex()
		if err != nil && !errors.As(err, new(*CorruptionError)) {
			return 0, err
		}
		// What lies before damage can be read; who reads further will meet it.
		sampled := sample(x.offsets.view())
		h.index.Store(&sampled)
	}
	return floorPosition(*h.index.Load(), s.base, offset), nil
}

// timeEntries returns all time index entries.
func (s *segment) timeEntries() ([]timeEntry, error) {
	x := s.index.Load()
	if x != nil && x.filedTimes == 0 {
		return x.times.view(), nil
	}
	s.openMu.Lock()
	defer s.openMu.Unlock()
	if s.gone {
		return nil, s.goneError()
	}
	entries, err := s.readTimes(x)
	if err == nil {
		return entries, nil
	}
	rebuilt, rebuildErr := s.rebuildIndex()
	if rebuildErr != nil && !errors.As(rebuildErr, new(*CorruptionError)) {
		return nil, errors.Join(err, rebuildErr)
	}
	return rebuilt.times.view(), nil
}

// readTimes reads the time index file, and adds what x has after it. A segment that is
// finished has its largest timestamp in the file, so that an empty file means that it has none.
func (s *segment) readTimes(x *segmentIndex) ([]timeEntry, error) {
	b, err := vfs.ReadFile(s.fs, s.path(suffixTimeIndex))
	if err != nil {
		return nil, err
	}
	if x == nil {
		return decodeTimeEntries(b)
	}
	if len(b) < x.filedTimes*timeEntrySize {
		return nil, errIndexDamaged
	}
	entries, err := decodeTimeEntries(b[:x.filedTimes*timeEntrySize])
	if err == nil && len(entries) < x.filedTimes {
		err = errIndexDamaged
	}
	return append(entries, x.times.view()...), err
}
