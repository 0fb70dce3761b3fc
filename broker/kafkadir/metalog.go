package kafkadir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

const (
	metadataTopic   = "__cluster_metadata"
	metadataDirName = metadataTopic + "-0"
	// bootstrapName is the file in which kafka-storage leaves the first records.
	bootstrapName = "bootstrap.checkpoint"

	suffixCheckpoint = ".checkpoint"
	suffixLog        = ".log"
)

// Types of control records, as the keys of control batches say (KIP-630, KIP-853).
const (
	controlLeaderChange   = 2
	controlSnapshotHeader = 3
	controlSnapshotFooter = 4
)

// CorruptionError says which file of the directory is damaged, and where.
type CorruptionError struct {
	File     string
	Position int64
	Reason   string
}

// Error formats file, position and reason in one line.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.File, e.Position, e.Reason)
}

// Metadata is what a metadata log says at its end.
type Metadata struct {
	*Image
	// Offset is that after the last record that was read, Epoch the leader
	// epoch of the quorum in which it was written.
	Offset int64
	Epoch  int32
	// Cut says what of the end of the log was not read because it was torn; empty
	// when nothing was.
	Cut string
}

// ReadMetadata reads the newest snapshot in dir, a __cluster_metadata-0, and the
// log after it. What follows the last intact batch is not read when it can be the
// torn end of the last write; with anything intact behind it, it is a *[CorruptionError].
func ReadMetadata(fsys vfs.FS, dir string) (*Metadata, error) {
	m := &Metadata{Image: NewImage()}
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var snapshots []string
	var bases []int64
	for _, e := range entries {
		if _, _, ok := parseSnapshotName(e.Name()); ok {
			snapshots = append(snapshots, e.Name())
		}
		if base, ok := parseOffsetName(e.Name(), suffixLog); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(bases)
	if len(snapshots) > 0 {
		if m, err = readNewestSnapshot(fsys, dir, snapshots); err != nil {
			return nil, err
		}
	}
	for i, base := range bases {
		if i+1 < len(bases) && bases[i+1] <= m.Offset {
			continue
		}
		if err := m.readSegment(fsys, filepath.Join(dir, offsetName(base, suffixLog)), i == len(bases)-1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// readNewestSnapshot reads the newest one; they are made under another name
// and renamed, so it must be whole.
func readNewestSnapshot(fsys vfs.FS, dir string, names []string) (*Metadata, error) {
	name := names[len(names)-1]
	image, err := readSnapshot(fsys, filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	offset, epoch, _ := parseSnapshotName(name)
	return &Metadata{Image: image, Offset: offset, Epoch: epoch}, nil
}

// ReadBootstrap reads the records that kafka-storage format left for the first
// start. It returns nil when there is no such file.
func ReadBootstrap(fsys vfs.FS, logDir string) (*Image, error) {
	name := filepath.Join(logDir, bootstrapName)
	if there, err := exists(fsys, name); err != nil || !there {
		return nil, err
	}
	return readSnapshot(fsys, name)
}

func readSnapshot(fsys vfs.FS, name string) (_ *Image, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	image, ended := NewImage(), false
	end, damage, err := scanLog(f, 0, func(b batch.Batch, at int64) error {
		kinds, err := image.applyBatch(&b, 0)
		if err != nil {
			return &CorruptionError{name, at, err.Error()}
		}
		ended = slices.Contains(kinds, controlSnapshotFooter)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case damage != nil:
		return nil, &CorruptionError{name, end, damage.Error()}
	case !ended:
		return nil, &CorruptionError{name, end, "the snapshot has no end"}
	}
	return image, nil
}

// readSegment applies the batches of a segment from m.Offset on.
func (m *Metadata) readSegment(fsys vfs.FS, name string, last bool) (err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, damage, err := scanLog(f, 0, func(b batch.Batch, at int64) error {
		if b.LastOffset() < m.Offset {
			return nil
		}
		if b.BaseOffset > m.Offset {
			return &CorruptionError{name, at, fmt.Sprintf("offset %d follows %d: records are missing", b.BaseOffset, m.Offset)}
		}
		if _, err := m.applyBatch(&b, m.Offset); err != nil {
			return &CorruptionError{name, at, err.Error()}
		}
		m.Offset, m.Epoch = b.LastOffset()+1, b.LeaderEpoch
		return nil
	})
	if err != nil || damage == nil {
		return err
	}
	intact, err := intactAfter(f, end+1, m.Offset)
	if err != nil {
		return err
	}
	if intact || !last {
		return &CorruptionError{name, end, damage.Error() + "; intact records follow"}
	}
	m.Cut = fmt.Sprintf("%s from byte %d on: %v", name, end, damage)
	return nil
}

// applyBatch applies the records from offset from on. It returns the types of
// the control records of a control batch; the metadata does not depend on them.
func (i *Image) applyBatch(b *batch.Batch, from int64) (control []int, err error) {
	for r, err := range b.Records() {
		if err != nil {
			return nil, err
		}
		if b.IsControl() {
			if len(r.Key) < 4 {
				return nil, fmt.Errorf("a control record has a key of %d bytes", len(r.Key))
			}
			control = append(control, int(binary.BigEndian.Uint16(r.Key[2:])))
			continue
		}
		if r.Offset < from {
			continue
		}
		record, err := DecodeRecord(r.Value)
		if err == nil {
			err = i.Apply(record)
		}
		if err != nil {
			return nil, fmt.Errorf("record at offset %d: %w", r.Offset, err)
		}
	}
	return control, nil
}

func offsetName(offset int64, suffix string) string { return fmt.Sprintf("%020d%s", offset, suffix) }

// parseOffsetName undoes offsetName.
func parseOffsetName(name, suffix string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0 && offsetName(n, suffix) == name
}

func snapshotName(offset int64, epoch int32) string {
	return fmt.Sprintf("%020d-%010d%s", offset, epoch, suffixCheckpoint)
}

// parseSnapshotName reads what snapshotName writes: the offset after the last
// record of the snapshot and that record's leader epoch.
func parseSnapshotName(name string) (offset int64, epoch int32, ok bool) {
	if len(name) != len(snapshotName(0, 0)) {
		return 0, 0, false
	}
	offset, err := strconv.ParseInt(name[:20], 10, 64)
	e, err2 := strconv.ParseInt(name[21:31], 10, 32)
	return offset, int32(e), err == nil && err2 == nil && offset >= 0 && e >= 0 && snapshotName(offset, int32(e)) == name
}
