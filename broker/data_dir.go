package broker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millrace/millrace/internal/vfs"
)

// formatVersion of the data directory as a whole. A directory with a higher one
// is refused. Parts have versions of their own.
const formatVersion = 1

const (
	propertiesName = "meta.properties"
	lockName       = ".lock"
)

// ErrNewerFormat is returned for a data directory of a newer Millrace.
var ErrNewerFormat = errors.New("data directory was written by a newer version of Millrace: start that version, or use another directory")

// ErrLocked is returned for a data directory that another process uses.
var ErrLocked = errors.New("data directory is in use by another process")

// properties is the content of meta.properties, in the form of Apache Kafka's.
type properties struct {
	clusterID string
	nodeID    *int32
}

func lockDir(fsys vfs.FS, dir string) (io.Closer, error) {
	if err := vfs.MkdirAllDurable(fsys, dir); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return lock, err
}

// readProperties returns empty properties for a new directory.
func readProperties(fsys vfs.FS, dir string) (properties, error) {
	var p properties
	name := filepath.Join(dir, propertiesName)
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	content := make([]byte, 64<<10)
	count, err := f.ReadAt(content, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return p, err
	}
	version := 0
	for line := range strings.Lines(string(content[:count])) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "millrace.format":
			version, err = strconv.Atoi(value)
		case "cluster.id":
			p.clusterID = value
		case "node.id":
			var id int64
			id, err = strconv.ParseInt(value, 10, 32)
			p.nodeID = new(int32(id))
		}
		if err != nil {
			return p, fmt.Errorf("%s: %s: %w", name, key, err)
		}
	}
	switch {
	case version > formatVersion:
		return p, fmt.Errorf("%w (%s has format %d, this version knows %d)", ErrNewerFormat, name, version, formatVersion)
	case version < 1:
		return p, fmt.Errorf("%s has no millrace.format: it is not a data directory of Millrace", name)
	}
	return p, nil
}

// writeProperties makes the file whole or not at all.
func writeProperties(fsys vfs.FS, dir, clusterID string, nodeID int32) error {
	name := filepath.Join(dir, propertiesName)
	content := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\nmillrace.format=%d\n", clusterID, nodeID, newID(), formatVersion)
	f, err := fsys.Create(name + ".tmp")
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(content), 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(name+".tmp", name); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
