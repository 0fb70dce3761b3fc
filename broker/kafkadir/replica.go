package kafkadir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// Replica is one partition's directory in a source.
type Replica struct {
	Topic     string `json:"topic"`
	TopicID   UUID   `json:"topic_id"`
	Partition int32  `json:"partition"`
	// Path of the directory, and the files in it that count.
	Path  string `json:"path"`
	Files []File `json:"files"`
	// LogStart is the first offset that is not deleted, LogEnd the one after the last.
	LogStart int64 `json:"log_start"`
	LogEnd   int64 `json:"log_end"`
	// LeaderEpoch is the newest in leader-epoch-checkpoint, -1 without one.
	LeaderEpoch int32 `json:"leader_epoch"`
	// Cut says what of a torn end is left out; nil when nothing is.
	Cut *Cut `json:"cut,omitempty"`

	recoveryPoint int64
	clean         bool
	short         string // why the log ends before the recovery point; empty where it does not
}

// Name is the name of the partition's directory.
func (r *Replica) Name() string { return replicaName(r.Topic, r.Partition) }

// Bytes is the size of all files.
func (r *Replica) Bytes() int64 {
	n := int64(0)
	for _, f := range r.Files {
		n += f.Bytes
	}
	return n
}

// File is one file of a replica.
type File struct {
	Name string `json:"name"`
	// As is its name in the end; another one when Kafka was stopped in the middle
	// of replacing a segment.
	As string `json:"as"`
	// Bytes to take: all of the file, or what comes before its torn end.
	Bytes int64 `json:"bytes"`
	// Fixed says that nobody writes to the file again: it may be linked.
	Fixed bool `json:"fixed,omitempty"`
}

// Cut is the torn end of a log.
type Cut struct {
	File     string `json:"file"`
	Position int64  `json:"position"`
	Offset   int64  `json:"offset"`
	Bytes    int64  `json:"bytes"`
	Reason   string `json:"reason"`
	// Intact says that batches follow that are not damaged: Kafka drops them too.
	Intact bool `json:"intact,omitempty"`
}

// Suffixes of the files in a partition's directory.
const (
	suffixSwap     = ".swap"
	suffixCleaned  = ".cleaned"
	suffixTxnIndex = ".txnindex"

	epochsName            = "leader-epoch-checkpoint"
	partitionMetadataName = "partition.metadata"
)

// segmentSuffixes are those of the files that belong to one segment.
func segmentSuffixes() []string {
	return []string{suffixLog, ".index", ".timeindex", suffixTxnIndex}
}

// Segment returns the base offset of the segment that a file belongs to, by
// its final name.
func (f *File) Segment() (base int64, ok bool) {
	for _, suffix := range segmentSuffixes() {
		if base, ok := parseOffsetName(f.As, suffix); ok {
			return base, true
		}
	}
	return 0, false
}

func (f *File) isLog() bool { return strings.HasSuffix(f.As, suffixLog) }

// list finds the files of the directory and their names in the end, as
// LogLoader.removeTempFilesAndCollectSwapFiles of Apache Kafka does: what is
// cleaned, deleted or temporary does not count, a swap file takes the place of
// the segments that it replaces.
func (r *Replica) list(fsys vfs.FS) error {
	entries, err := fsys.ReadDir(r.Path)
	if err != nil {
		return err
	}
	minCleaned, swaps := int64(1<<62), map[string]int64{}
	sizes := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() {
			continue
		}
		sizes[e.Name()] = info.Size()
		if name, ok := strings.CutSuffix(e.Name(), suffixCleaned); ok {
			if base, ok := (&File{As: name}).Segment(); ok {
				minCleaned = min(minCleaned, base)
			}
		}
		if name, ok := strings.CutSuffix(e.Name(), suffixSwap); ok {
			if base, ok := (&File{As: name}).Segment(); ok {
				swaps[name] = base
			}
		}
	}
	for name, base := range swaps {
		if base >= minCleaned {
			delete(swaps, name) // a split that was not finished
		}
	}
	replaced, err := r.replacedBy(fsys, swaps)
	if err != nil {
		return err
	}
	for name, size := range sizes {
		f := File{Name: name, As: name, Bytes: size}
		if base, ok := f.Segment(); ok && replaced(base) {
			continue
		}
		if final, ok := strings.CutSuffix(name, suffixSwap); ok {
			if _, ok := swaps[final]; ok {
				f.As = final
			}
		}
		_, isSnapshot := parseOffsetName(f.As, ".snapshot")
		if _, ok := f.Segment(); ok || isSnapshot || f.As == epochsName || f.As == partitionMetadataName {
			r.Files = append(r.Files, f)
		}
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.As, b.As) })
	r.dropOrphans()
	return nil
}

// replacedBy returns which segments the swap files take the place of.
func (r *Replica) replacedBy(fsys vfs.FS, swaps map[string]int64) (func(base int64) bool, error) {
	type span struct{ from, to int64 }
	var spans []span
	for name, base := range swaps {
		if !strings.HasSuffix(name, suffixLog) {
			continue
		}
		end, damage, err := segmentEnd(fsys, filepath.Join(r.Path, name+suffixSwap), base)
		if err != nil {
			return nil, err
		}
		if damage != nil {
			return nil, &CorruptionError{File: filepath.Join(r.Path, name+suffixSwap), Position: -1, Reason: damage.Error()}
		}
		spans = append(spans, span{base, max(end, base+1)})
	}
	return func(base int64) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return base >= s.from && base < s.to })
	}, nil
}

// dropOrphans leaves out index files whose log is gone.
func (r *Replica) dropOrphans() {
	logs := map[int64]bool{}
	for i := range r.Files {
		if base, ok := r.Files[i].Segment(); ok && r.Files[i].isLog() {
			logs[base] = true
		}
	}
	r.Files = slices.DeleteFunc(r.Files, func(f File) bool {
		base, ok := f.Segment()
		return ok && !logs[base]
	})
}

// logs returns the positions of the segments' log files in Files, in order.
func (r *Replica) logs() []int {
	var at []int
	for i := range r.Files {
		if r.Files[i].isLog() {
			at = append(at, i)
		}
	}
	return at
}

// readTopicID reads partition.metadata; zero when there is none.
func readTopicID(fsys vfs.FS, dir string) (id UUID, err error) {
	name := filepath.Join(dir, partitionMetadataName)
	there, err := exists(fsys, name)
	if err != nil || !there {
		return id, err
	}
	content, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return id, err
	}
	version, rest, _ := strings.Cut(string(content), "\n")
	text, ok := strings.CutPrefix(strings.TrimSpace(rest), "topic_id: ")
	if version != "version: 0" || !ok {
		return id, &CorruptionError{File: name, Reason: fmt.Sprintf("content is %q", content)}
	}
	if id, err = ParseUUID(text); err != nil {
		return id, &CorruptionError{File: name, Reason: err.Error()}
	}
	return id, nil
}

// readLeaderEpoch returns the newest leader epoch of a log, -1 when there is
// none. A file that does not parse counts as missing: it is made again from the batches.
func readLeaderEpoch(fsys vfs.FS, dir string) (int32, error) {
	content, err := vfs.ReadFile(fsys, filepath.Join(dir, epochsName))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	epoch := int32(-1)
	for i, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		var e int32
		var start int64
		if i < 2 {
			continue
		}
		if _, err := fmt.Sscanf(line, "%d %d", &e, &start); err != nil {
			return -1, nil //nolint:nilerr // see above
		}
		epoch = max(epoch, e)
	}
	return epoch, nil
}
