package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/broker/raftlog"
	"github.com/millrace/millrace/internal/vfs"
)

// A new group begins as if its members had committed one empty entry, so that a
// member that joins later, with an empty log, is sent a snapshot, which names the members.
const firstIndex, firstTerm = 1, 1

// takeOver opens the log of the group. If there is none it makes one: of the image in a directory of
// format 1, or empty. The files of format 1 are removed when the log is there; a crash
// in between leaves them, and they are removed by the next start. members are those of a new group.
func takeOver(cfg raftlog.Config, members *raftpb.ConfState) (*raftlog.Log, []byte, error) {
	log, data, err := raftlog.Open(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		log, data, err = newLog(cfg, members)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := removeFormat1(cfg, log); err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return log, data, nil
}

func newLog(cfg raftlog.Config, members *raftpb.ConfState) (*raftlog.Log, []byte, error) {
	image, err := readFormat1(cfg)
	if err != nil {
		return nil, nil, err
	}
	base := raftlog.Base{Index: firstIndex, Term: firstTerm, Members: members}
	if len(members.GetVoters()) == 0 {
		base = raftlog.Base{Members: members}
	}
	var data []byte
	if image.Index > 0 {
		if data, err = encodeRecords([]Record{image.snapshot()}); err != nil {
			return nil, nil, err
		}
		base.Index = uint64(image.Index)
		cfg.Logger.Info("metadata of format 1 taken over", "directory", cfg.Dir, "commits", image.Index)
	}
	log, err := raftlog.Create(cfg, base, data)
	return log, data, err
}

// readFormat1 returns the image of a directory of format 1; one without any
// files of it has an empty image. It changes nothing.
func readFormat1(cfg raftlog.Config) (*Image, error) {
	snapshots, logs, err := listFormat1(cfg)
	if err != nil {
		return nil, err
	}
	image, base := newImage(), int64(0)
	if len(snapshots) > 0 {
		base = snapshots[len(snapshots)-1]
		if image, err = readFormat1Snapshot(cfg, base); err != nil {
			return nil, err
		}
	} else if len(logs) > 0 && logs[0] != 0 {
		return nil, &CorruptionError{File: filepath.Join(cfg.Dir, format1Name(logs[0], logSuffix)), Reason: "the snapshot before it is missing"}
	}
	if slices.Contains(logs, base) {
		err = replayFormat1(cfg, image, base)
	}
	image.seal()
	return image, err
}

// listFormat1 returns the indexes in the names of snapshots and logs, in order.
func listFormat1(cfg raftlog.Config) (snapshots, logs []int64, err error) {
	entries, err := cfg.FS.ReadDir(cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if i, ok := parseFormat1Name(e.Name(), snapshotSuffix); ok {
			snapshots = append(snapshots, i)
		}
		if i, ok := parseFormat1Name(e.Name(), logSuffix); ok {
			logs = append(logs, i)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(logs)
	return snapshots, logs, nil
}

func readFormat1Snapshot(cfg raftlog.Config, index int64) (*Image, error) {
	name := filepath.Join(cfg.Dir, format1Name(index, snapshotSuffix))
	content, err := vfs.ReadFile(cfg.FS, name)
	if err != nil {
		return nil, err
	}
	i, payload, n := decodeFrame(content)
	if n == 0 || n != len(content) || i != index {
		return nil, &CorruptionError{File: name, Reason: "the snapshot's checksum or length does not fit"}
	}
	image := newImage()
	records, err := decodeRecords(payload)
	if err == nil {
		err = image.advance(index, records)
	}
	if err != nil {
		return nil, &CorruptionError{File: name, Reason: err.Error()}
	}
	return image, nil
}

// replayFormat1 applies the commits after base to image, up to a torn one at the end.
func replayFormat1(cfg raftlog.Config, image *Image, base int64) error {
	name := filepath.Join(cfg.Dir, format1Name(base, logSuffix))
	content, err := vfs.ReadFile(cfg.FS, name)
	if err != nil {
		return err
	}
	for at := 0; at < len(content); {
		rest := content[at:]
		index, payload, n := decodeFrame(rest)
		if n == 0 && intactAfter(rest, image.Index) {
			return &CorruptionError{File: name, Position: int64(at), Reason: "intact commits follow a damaged one"}
		}
		if n == 0 {
			cfg.Logger.Warn("torn end of the metadata log cut", "file", name, "position", at, "bytes", len(rest))
			return nil
		}
		if index != image.Index+1 {
			return &CorruptionError{File: name, Position: int64(at), Reason: fmt.Sprintf("commit %d follows commit %d", index, image.Index)}
		}
		records, err := decodeRecords(payload)
		if err == nil {
			err = image.advance(index, records)
		}
		if err != nil {
			return &CorruptionError{File: name, Position: int64(at), Reason: err.Error()}
		}
		at += n
	}
	return nil
}

// removeFormat1 removes the files of format 1, which the group's log has just taken the place of. Beside
// a log that has gone on they are another version's work, and nobody's to remove.
func removeFormat1(cfg raftlog.Config, log *raftlog.Log) error {
	snapshots, logs, err := listFormat1(cfg)
	if err != nil || len(snapshots)+len(logs) == 0 {
		return err
	}
	if log.Last() > log.Base().Index {
		return fmt.Errorf("%s holds files %s* of an older version beside the newer raft-*: move those away that are not wanted", cfg.Dir, namePrefix)
	}
	var names []string
	for _, i := range snapshots {
		names = append(names, format1Name(i, snapshotSuffix))
	}
	for _, i := range logs {
		names = append(names, format1Name(i, logSuffix))
	}
	for _, name := range names {
		if err := cfg.FS.Remove(filepath.Join(cfg.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return cfg.FS.SyncDir(cfg.Dir)
}
