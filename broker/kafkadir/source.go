package kafkadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// Names within a log directory, as Kafka gives them.
const (
	lockName           = ".lock"
	cleanShutdownName  = ".kafka_cleanshutdown"
	recoveryPointsName = "recovery-point-offset-checkpoint"
	logStartsName      = "log-start-offset-checkpoint"
	highWatermarksName = "replication-offset-checkpoint"
)

// ErrRunning is returned for a directory that a running process has locked.
var ErrRunning = errors.New("the directory is in use: stop Apache Kafka first")

// ErrNotFormatted is returned for a directory without meta.properties.
var ErrNotFormatted = errors.New("there is no meta.properties: it is not a log directory of Apache Kafka in KRaft mode")

// LogDir is one of Kafka's log.dirs.
type LogDir struct {
	Path string
	*Properties
	// Clean says that Kafka was stopped in order.
	Clean bool

	recoveryPoints, logStarts map[string]int64
}

// Source is a node's data, as it lies in its log directories. Nothing of it is
// changed; Kafka cannot start on it before Close.
type Source struct {
	Dirs []*LogDir
	// Metadata is nil when kafka-storage has formatted the directories but Kafka
	// was never started on them.
	Metadata *Metadata

	fs    vfs.FS
	locks []io.Closer
}

// OpenSource locks and reads the log directories of one node, all of them.
func OpenSource(fsys vfs.FS, paths ...string) (*Source, error) {
	s := &Source{fs: fsys}
	err := s.open(paths)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close releases the locks.
func (s *Source) Close() error {
	var errs []error
	for _, l := range s.locks {
		errs = append(errs, l.Close())
	}
	s.locks = nil
	return errors.Join(errs...)
}

// ClusterID and NodeID are those of meta.properties.
func (s *Source) ClusterID() string { return s.Dirs[0].ClusterID }

// NodeID returns the node's id.
func (s *Source) NodeID() int32 { return s.Dirs[0].NodeID }

// Clean says that Kafka was stopped in order.
func (s *Source) Clean() bool {
	return !slices.ContainsFunc(s.Dirs, func(d *LogDir) bool { return !d.Clean })
}

// Fresh says that the directories were formatted, but Kafka was never started
// on them.
func (s *Source) Fresh() bool { return s.Metadata == nil || s.Metadata.Offset == 0 }

func (s *Source) open(paths []string) error {
	if len(paths) == 0 {
		return errors.New("no log directory is named")
	}
	for _, path := range paths {
		if err := s.lock(path); err != nil {
			return err
		}
		d, err := openLogDir(s.fs, path)
		if err != nil {
			return err
		}
		if len(s.Dirs) > 0 && (d.ClusterID != s.ClusterID() || d.NodeID != s.NodeID()) {
			return fmt.Errorf("%s belongs to node %d of cluster %s, %s to node %d of cluster %s", path, d.NodeID, d.ClusterID, s.Dirs[0].Path, s.NodeID(), s.ClusterID())
		}
		s.Dirs = append(s.Dirs, d)
	}
	return s.readMetadata()
}

func (s *Source) lock(path string) error {
	name := filepath.Join(path, lockName)
	there, err := exists(s.fs, name)
	if err != nil || !there { // Kafka removes the file when it ends in order
		return err
	}
	l, err := s.fs.Lock(name)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("%s: %w", path, ErrRunning)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run this command as the user that Kafka ran as", err)
	}
	if err != nil {
		return err
	}
	s.locks = append(s.locks, l)
	return nil
}

func openLogDir(fsys vfs.FS, path string) (*LogDir, error) {
	d := &LogDir{Path: path}
	var err error
	if d.Properties, err = ReadProperties(fsys, path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotFormatted)
	} else if err != nil {
		return nil, err
	}
	if format := d.Other["millrace.format"]; format != "" {
		return nil, fmt.Errorf("%s is a data directory of Millrace, not of Apache Kafka", path)
	}
	return d, d.readCheckpoints(fsys)
}

// readCheckpoints reads what was known about the logs when they were last used.
func (d *LogDir) readCheckpoints(fsys vfs.FS) (err error) {
	if d.Clean, err = exists(fsys, filepath.Join(d.Path, cleanShutdownName)); err != nil {
		return err
	}
	for name, to := range map[string]*map[string]int64{
		recoveryPointsName: &d.recoveryPoints, logStartsName: &d.logStarts,
	} {
		if *to, err = readOffsets(fsys, filepath.Join(d.Path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) readMetadata() error {
	for _, d := range s.Dirs {
		dir := filepath.Join(d.Path, metadataDirName)
		there, err := exists(s.fs, dir)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if s.Metadata != nil {
			return fmt.Errorf("two of the directories have a %s", metadataDirName)
		}
		if s.Metadata, err = ReadMetadata(s.fs, dir); err != nil {
			return err
		}
	}
	return nil
}

// Used says whether an Apache Kafka node was ever started on a log directory:
// it has partitions, or a metadata log with records.
func Used(fsys vfs.FS, logDir string) (bool, error) {
	entries, err := fsys.ReadDir(logDir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if _, _, ok := parseReplicaName(e.Name()); ok && e.IsDir() && e.Name() != metadataDirName {
			return true, nil
		}
	}
	dir := filepath.Join(logDir, metadataDirName)
	if there, err := exists(fsys, dir); err != nil || !there {
		return false, err
	}
	m, err := ReadMetadata(fsys, dir)
	if err != nil {
		return false, err
	}
	return m.Offset > 0, nil
}

// OwnReplica reads the partition of a log directory in Kafka's form that is not
// Kafka's own: [ReadCheckpoints] gives d.
func (d *LogDir) OwnReplica(fsys vfs.FS, topic string, id UUID, partition int32) (*Replica, error) {
	r := d.replica(topic, id, partition)
	err := r.list(fsys)
	if err == nil {
		err = r.verify(fsys)
	}
	return r, err
}

// ReadCheckpoints looks at a directory of partitions that has no meta.properties.
func ReadCheckpoints(fsys vfs.FS, path string) (*LogDir, error) {
	d := &LogDir{Path: path}
	return d, d.readCheckpoints(fsys)
}

func (d *LogDir) replica(topic string, id UUID, partition int32) *Replica {
	name := replicaName(topic, partition)
	r := &Replica{Topic: topic, TopicID: id, Partition: partition, Path: filepath.Join(d.Path, name), LogStart: d.logStarts[name]}
	r.recoveryPoint, r.clean = d.recoveryPoints[name]
	r.clean = r.clean && d.Clean
	return r
}

// readOffsets reads one of Kafka's offset checkpoints, by the names of
// partitions' directories; a file that is not there is empty.
func readOffsets(fsys vfs.FS, name string) (map[string]int64, error) {
	content, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := parseOffsets(content)
	if err != nil {
		return nil, &CorruptionError{File: name, Reason: err.Error()}
	}
	return out, nil
}

// parseOffsets reads version 0: the version, the number of entries, and one
// line of topic, partition and offset for each. Kafka makes the file empty at
// first.
func parseOffsets(content []byte) (map[string]int64, error) {
	if len(content) == 0 {
		return nil, nil
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" || lines[1] != strconv.Itoa(len(lines)-2) {
		return nil, errors.New("version or number of entries do not fit")
	}
	out := make(map[string]int64, len(lines)-2)
	for _, line := range lines[2:] {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("entry %q does not parse", line)
		}
		partition, err := strconv.ParseInt(f[1], 10, 32)
		offset, err2 := strconv.ParseInt(f[2], 10, 64)
		if err != nil || err2 != nil || partition < 0 || offset < 0 {
			return nil, fmt.Errorf("entry %q does not parse", line)
		}
		out[replicaName(f[0], int32(partition))] = offset
	}
	return out, nil
}

// formatOffsets writes what parseOffsets reads.
func formatOffsets(offsets map[string]int64) []byte {
	var lines []string
	for name, offset := range offsets {
		topic, partition, _ := parseReplicaName(name)
		lines = append(lines, fmt.Sprintf("%s %d %d\n", topic, partition, offset))
	}
	slices.Sort(lines)
	return fmt.Appendf(nil, "0\n%d\n%s", len(lines), strings.Join(lines, ""))
}

// replicaName is the name of a partition's directory.
func replicaName(topic string, partition int32) string {
	return topic + "-" + strconv.Itoa(int(partition))
}

func parseReplicaName(name string) (topic string, partition int32, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || n < 0 || replicaName(name[:i], int32(n)) != name {
		return "", 0, false
	}
	return name[:i], int32(n), true
}
