package kafkadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/millrace/millrace/internal/vfs"
)

// Mode says how files get from one directory to the other.
type Mode string

// The modes of a transfer.
const (
	// Copy leaves the source as it is and shares nothing with it.
	Copy Mode = "copy"
	// Link makes hard links of the segments that are no longer written, and
	// copies the rest. The source stays as it is.
	Link Mode = "link"
	// Move takes the partitions' directories out of the source.
	Move Mode = "move"
)

// suffixStaged marks the directory of a partition that is not whole yet.
const suffixStaged = ".unfinished"

// Transfer brings replicas into a log directory.
type Transfer struct {
	FS   vfs.FS
	Mode Mode
	// LogDir is where partitions' directories are made.
	LogDir string
	// Progress is called after each partition; nil is not called.
	Progress func(done, total int, bytes int64)
}

// Run brings all replicas over. Each is there whole or not at all, also after a
// crash; those that are there already are left alone, so that Run goes on where an
// earlier one with the same replicas was interrupted. On return all is durable.
func (t *Transfer) Run(ctx context.Context, replicas []*Replica) error {
	if err := vfs.MkdirAllDurable(t.FS, t.LogDir); err != nil {
		return err
	}
	bytes := int64(0)
	for i, r := range replicas {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.replica(r); err != nil {
			return fmt.Errorf("partition %s: %w", r.Name(), explain(err, t.Mode))
		}
		bytes += r.Bytes()
		if t.Progress != nil {
			t.Progress(i+1, len(replicas), bytes)
		}
	}
	return t.FS.SyncDir(t.LogDir)
}

// explain says what to do about an error that a mode can have.
func explain(err error, mode Mode) error {
	if errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%w: source and target are on different file systems, so files can only be copied, not taken over by %s", err, mode)
	}
	return err
}

func (t *Transfer) replica(r *Replica) error {
	target := filepath.Join(t.LogDir, r.Name())
	there, err := exists(t.FS, target)
	if err != nil || there {
		return err
	}
	staged := target + suffixStaged
	if t.Mode == Move {
		err = t.move(r, staged)
	} else {
		err = t.copyAll(r, staged)
	}
	if err == nil {
		err = t.emptyIndexes(r, staged)
	}
	if err != nil {
		return err
	}
	if err := t.FS.SyncDir(staged); err != nil {
		return err
	}
	return t.FS.Rename(staged, target)
}

// emptyIndexes makes the index files of segments without records that have none. Kafka
// takes a segment without them for damaged, says so in its log and makes them again.
func (t *Transfer) emptyIndexes(r *Replica, dir string) error {
	there := map[string]bool{}
	for _, f := range r.Files {
		there[f.As] = true
	}
	for _, f := range r.Files {
		segment, ok := strings.CutSuffix(f.As, ".log")
		if !ok || f.Bytes > 0 {
			continue
		}
		for _, suffix := range []string{".index", ".timeindex"} {
			if there[segment+suffix] {
				continue
			}
			file, err := t.FS.Create(filepath.Join(dir, segment+suffix))
			if err != nil {
				return err
			}
			if err := errors.Join(file.Sync(), file.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Transfer) copyAll(r *Replica, staged string) error {
	if err := errors.Join(t.FS.RemoveAll(staged), t.FS.MkdirAll(staged)); err != nil {
		return err
	}
	for _, f := range r.Files {
		from, to := filepath.Join(r.Path, f.Name), filepath.Join(staged, f.As)
		if t.Mode == Link && f.Fixed {
			if err := t.FS.Link(from, to); err != nil {
				return err
			}
			continue
		}
		if err := copyFile(t.FS, from, to, f.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies the first n bytes of a file; they are durable on return.
func copyFile(fsys vfs.FS, from, to string, n int64) (err error) {
	in, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := fsys.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buf := make([]byte, min(n, scanBytes))
	for at := int64(0); at < n; {
		piece := buf[:min(int64(len(buf)), n-at)]
		if got, err := in.ReadAt(piece, at); got < len(piece) {
			return fmt.Errorf("read %s at %d: %w", from, at, errors.Join(err, io.ErrUnexpectedEOF))
		}
		if _, err := out.WriteAt(piece, at); err != nil {
			return err
		}
		at += int64(len(piece))
	}
	return out.Sync()
}

// move renames the directory, then brings its files to the state that the
// replica has. Each step may find itself done by an earlier run.
func (t *Transfer) move(r *Replica, staged string) error {
	there, err := exists(t.FS, staged)
	if err == nil && !there {
		err = t.FS.Rename(r.Path, staged)
	}
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, f := range r.Files {
		keep[f.As] = true
		if err := t.settle(staged, f); err != nil {
			return err
		}
	}
	entries, err := t.FS.ReadDir(staged)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := t.FS.RemoveAll(filepath.Join(staged, e.Name())); err != nil {
				return err
			}
		}
	}
	return errors.Join(t.FS.SyncDir(t.LogDir), t.FS.SyncDir(filepath.Dir(r.Path)))
}

// settle gives a file that was moved its final name and length. It is forced
// to disk: nobody has done so for the end of a log that was not closed in order.
func (t *Transfer) settle(dir string, f File) (err error) {
	name := filepath.Join(dir, f.As)
	if f.Name != f.As {
		err := t.FS.Rename(filepath.Join(dir, f.Name), name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := t.FS.OpenReadWrite(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < f.Bytes {
		return fmt.Errorf("%s has %d bytes, it had %d", name, info.Size(), f.Bytes)
	}
	if info.Size() > f.Bytes {
		if err := file.Truncate(f.Bytes); err != nil {
			return err
		}
	}
	return file.Sync()
}

// WriteCheckpoints writes what a broker must know about the logs before it
// opens them: where they start, that they need no recovery, and that the node
// was stopped in order. It is durable on return.
func (t *Transfer) WriteCheckpoints(replicas []*Replica) error {
	starts, ends := map[string]int64{}, map[string]int64{}
	for _, r := range replicas {
		ends[r.Name()] = r.LogEnd
		if r.LogStart > 0 {
			starts[r.Name()] = r.LogStart
		}
	}
	return errors.Join(
		vfs.WriteFile(t.FS, filepath.Join(t.LogDir, recoveryPointsName), formatOffsets(ends)),
		vfs.WriteFile(t.FS, filepath.Join(t.LogDir, highWatermarksName), formatOffsets(ends)),
		vfs.WriteFile(t.FS, filepath.Join(t.LogDir, logStartsName), formatOffsets(starts)),
		vfs.WriteFile(t.FS, filepath.Join(t.LogDir, cleanShutdownName), []byte(`{"version":0,"brokerEpoch":-1}`)),
	)
}
