package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/millrace/millrace/internal/vfs"
)

// Record types of the log.
const (
	walDocument byte = 1 // put or delete a document
	walMapping  byte = 2 // the index's mapping from here on
)

const (
	walHeader       = "MRSWAL01"
	walRecordHeader = 4 + 4 + 1 + 16 // length, checksum, type, index
)

// wal is the write-ahead log of all indices.
type wal struct {
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	onSync func(bytes int)

	mu sync.Mutex
	// wake is signalled when synced or err changes.
	wake *sync.Cond
	// pending is appended and not yet written; spare is its other half.
	pending, spare []byte
	// Invariant: synced <= appended; both count bytes since the start.
	appended, synced int64
	syncing          bool
	err              error
	// newest holds the highest record number per index in pending.
	newest map[UUID]int64
	// files are those with content, the last being written to when open is set.
	files  []*walFile
	open   vfs.File
	offset int64
	number int64
}

// walFile is one file of the log.
type walFile struct {
	number int64
	bytes  int64
	newest map[UUID]int64
}

// walRecord is one record as read back.
type walRecord struct {
	kind    byte
	index   UUID
	payload []byte
}

func walName(dir string, number int64) string {
	return path.Join(dir, fmt.Sprintf("%016d.wal", number))
}

// openWAL reads what a former process left, calling apply for each record in
// order, and cuts a torn tail.
func openWAL(fs vfs.FS, dir string, logger *slog.Logger, apply func(walRecord) (number int64, err error)) (*wal, error) {
	w := &wal{fs: fs, dir: dir, logger: logger, newest: map[UUID]int64{}, onSync: func(int) {}}
	w.wake = sync.NewCond(&w.mu)
	entries, err := fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".wal")
		number, parseErr := strconv.ParseInt(name, 10, 64)
		if ok && parseErr == nil {
			numbers = append(numbers, number)
		}
	}
	for i, number := range numbers {
		file := &walFile{number: number, newest: map[UUID]int64{}}
		if err := w.replay(file, i == len(numbers)-1, apply); err != nil {
			return nil, err
		}
		w.files = append(w.files, file)
		w.number = number
	}
	return w, nil
}

func (w *wal) replay(file *walFile, last bool, apply func(walRecord) (int64, error)) error {
	name := walName(w.dir, file.number)
	f, err := w.fs.OpenReadWrite(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read, or synced below
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end, damage, err := readRecords(f, info.Size(), func(r walRecord) error {
		number, err := apply(r)
		file.newest[r.index] = max(file.newest[r.index], number)
		return err
	})
	if err != nil {
		return fmt.Errorf("replay %s: %w", name, err)
	}
	file.bytes = end
	if damage == "" {
		return nil
	}
	if !last {
		return &CorruptionError{File: name, Offset: end, Reason: damage}
	}
	w.logger.Info("cut the torn tail of the write-ahead log", "file", name, "offset", end, "bytes", info.Size()-end, "reason", damage)
	if err := f.Truncate(end); err != nil {
		return err
	}
	return f.Sync()
}

// readRecords calls apply for each whole record, and returns where they end and, where
// more follows that is no record, what is wrong with it.
func readRecords(f vfs.File, size int64, apply func(walRecord) error) (end int64, damage string, err error) {
	r := &windowReader{file: f, size: size}
	header, err := r.next(len(walHeader))
	if err != nil {
		return 0, "", err
	}
	if string(header) != walHeader {
		return 0, "no file header", nil
	}
	for {
		end = r.offset
		if end == size {
			return end, "", nil
		}
		head, err := r.next(walRecordHeader)
		if err != nil {
			return end, "", err
		}
		if len(head) < walRecordHeader {
			return end, "incomplete record header", nil
		}
		length := binary.LittleEndian.Uint32(head)
		sum := binary.LittleEndian.Uint32(head[4:])
		record := walRecord{kind: head[8], index: UUID(head[9:])}
		crc := checksum(head[8:])
		if length > walRecordBytesMax || int64(length) > size-r.offset {
			return end, "incomplete record", nil
		}
		if record.payload, err = r.next(int(length)); err != nil {
			return end, "", err
		}
		if crc = continueChecksum(crc, record.payload); crc != sum {
			return end, "checksum mismatch", nil
		}
		if err := apply(record); err != nil {
			return end, "", err
		}
	}
}

// append adds a record and returns the position to wait for. number counts the records of
// the index since the start. parts are copied.
func (w *wal) append(kind byte, index UUID, number int64, parts ...[]byte) (int64, error) {
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	if length > walRecordBytesMax {
		return 0, fmt.Errorf("a document of %d bytes is too large for the log", length)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	start := len(w.pending)
	w.pending = binary.LittleEndian.AppendUint32(w.pending, uint32(length))
	w.pending = append(w.pending, 0, 0, 0, 0, kind)
	w.pending = append(w.pending, index[:]...)
	for _, part := range parts {
		w.pending = append(w.pending, part...)
	}
	binary.LittleEndian.PutUint32(w.pending[start+4:], checksum(w.pending[start+8:]))
	w.appended += int64(len(w.pending) - start)
	w.newest[index] = max(w.newest[index], number)
	return w.appended, nil
}

// end returns the position after the latest record.
func (w *wal) end() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.appended
}

// sync returns when everything before the position is on disk. One of those who
// wait writes for all.
func (w *wal) sync(position int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.synced < position {
		if w.err != nil {
			return w.err
		}
		if w.syncing {
			w.wake.Wait()
			continue
		}
		w.flushPending()
	}
	return nil
}

// flushPending writes and syncs what is pending. It is called with mu held and
// releases it meanwhile.
func (w *wal) flushPending() {
	buffer, end, newest := w.pending, w.appended, w.newest
	w.pending, w.spare, w.newest = w.spare[:0], nil, map[UUID]int64{}
	w.syncing = true
	w.mu.Unlock()
	err := w.write(buffer)
	w.mu.Lock()
	w.syncing = false
	if cap(buffer) <= walFileBytesMax {
		w.spare = buffer[:0]
	}
	if err != nil {
		w.err = fmt.Errorf("%w: %w", ErrLogFailed, err)
		w.logger.Error("write-ahead log failed; no more writes are accepted", "error", err)
	} else {
		w.synced = end
		file := w.files[len(w.files)-1]
		file.bytes = w.offset
		for index, number := range newest {
			file.newest[index] = max(file.newest[index], number)
		}
	}
	w.wake.Broadcast()
}

// write appends to the open file, beginning a new one where there is none or it is
// full. Only the one that set syncing calls it, and it may use open and offset.
func (w *wal) write(buffer []byte) error {
	if w.open == nil || w.offset >= walFileBytesMax {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	if _, err := w.open.WriteAt(buffer, w.offset); err != nil {
		return err
	}
	if err := w.open.Sync(); err != nil {
		return err
	}
	w.offset += int64(len(buffer))
	w.onSync(len(buffer))
	return nil
}

func (w *wal) rotate() error {
	if w.open != nil {
		if err := w.open.Close(); err != nil {
			return err
		}
		w.open = nil
	}
	number := w.number + 1
	f, err := w.fs.Create(walName(w.dir, number))
	if err != nil {
		return err
	}
	w.open, w.number = f, number
	if _, err := f.WriteAt([]byte(walHeader), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := w.fs.SyncDir(w.dir); err != nil {
		return err
	}
	w.offset = int64(len(walHeader))
	w.mu.Lock()
	w.files = append(w.files, &walFile{number: number, newest: map[UUID]int64{}})
	w.mu.Unlock()
	return nil
}

// release removes the files that hold nothing newer than what flushed says is in
// segments. flushed returns false for an index that is gone.
func (w *wal) release(flushed func(UUID) (number int64, ok bool)) error {
	w.mu.Lock()
	var drop []*walFile
	for len(w.files) > 0 && !w.needed(w.files[0], flushed) {
		if len(w.files) == 1 && w.open != nil {
			break // being written to; the next rotation lets it go
		}
		drop = append(drop, w.files[0])
		w.files = w.files[1:]
	}
	w.mu.Unlock()
	var errs []error
	for _, file := range drop {
		errs = append(errs, w.fs.Remove(walName(w.dir, file.number)))
	}
	return errors.Join(errs...)
}

func (w *wal) needed(file *walFile, flushed func(UUID) (int64, bool)) bool {
	for index, number := range file.newest {
		if done, ok := flushed(index); ok && number > done {
			return true
		}
	}
	return false
}

// bytes returns the size of all files.
func (w *wal) bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var total int64
	for _, file := range w.files {
		total += file.bytes
	}
	return total + int64(len(w.pending))
}

// close syncs and closes the log.
func (w *wal) close() error {
	err := w.sync(w.end())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = ErrClosed
	}
	if w.open != nil {
		err = errors.Join(err, w.open.Close())
		w.open = nil
	}
	return err
}

// windowReader reads a file from front to back in large pieces.
type windowReader struct {
	file   vfs.File
	size   int64
	offset int64 // of the next byte to return
	window []byte
	start  int64 // of window in the file
}

const windowBytes = 1 << 20

// next returns the next n bytes, fewer at the end of the file. They are valid until
// the next call.
func (r *windowReader) next(n int) ([]byte, error) {
	n = int(min(int64(n), r.size-r.offset))
	if at := r.offset - r.start; at < 0 || at+int64(n) > int64(len(r.window)) {
		length := int(min(int64(max(n, windowBytes)), r.size-r.offset))
		if cap(r.window) < length {
			r.window = make([]byte, length)
		}
		r.window, r.start = r.window[:length], r.offset
		if read, err := r.file.ReadAt(r.window, r.offset); read < length {
			return nil, fmt.Errorf("read %s: %w", r.file.Name(), err)
		}
	}
	at := int(r.offset - r.start)
	r.offset += int64(n)
	return r.window[at : at+n], nil
}

// detach closes the file that is being written to, so that release can remove it.
func (w *wal) detach() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.syncing {
		w.wake.Wait()
	}
	if w.open == nil || len(w.pending) > 0 || w.err != nil {
		return
	}
	if err := w.open.Close(); err != nil {
		w.err = err
	}
	w.open = nil
}
