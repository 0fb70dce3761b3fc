package broker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/internal/vfs"
)

// formatVersion of the data directory as a whole. A directory with a higher one
// is refused. Parts have versions of their own. Since 2 the metadata is the log of
// a Raft group; a directory of 1 is taken over at its first start.
const formatVersion = 2

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
	clusterID   string
	nodeID      *int32
	directoryID kafkadir.UUID
	// format is 0 in a directory that kafka-storage has formatted.
	format int
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

// checkFinished refuses a directory whose import was interrupted.
func checkFinished(fsys vfs.FS, dir string) error {
	_, err := fsys.Stat(filepath.Join(dir, unfinishedName))
	if err == nil {
		return fmt.Errorf("%s: %w", dir, ErrImportUnfinished)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readProperties returns empty properties for a new directory.
func readProperties(fsys vfs.FS, dir string) (properties, error) {
	var p properties
	k, err := kafkadir.ReadProperties(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p = properties{clusterID: k.ClusterID, nodeID: &k.NodeID, directoryID: k.DirectoryID}
	format, ours := k.Other["millrace.format"]
	if !ours {
		return p, checkNeverStarted(fsys, dir)
	}
	name := filepath.Join(dir, propertiesName)
	if p.format, err = strconv.Atoi(format); err != nil || p.format < 1 {
		return p, fmt.Errorf("%s: millrace.format is %q", name, format)
	}
	if p.format > formatVersion {
		return p, fmt.Errorf("%w (%s has format %d, this version knows %d)", ErrNewerFormat, name, p.format, formatVersion)
	}
	return p, nil
}

// checkNeverStarted accepts a directory that kafka-storage has formatted, but not
// one that Apache Kafka has written to.
func checkNeverStarted(fsys vfs.FS, dir string) error {
	used, err := kafkadir.Used(fsys, dir)
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%s holds the data of an Apache Kafka node: take it over into another directory with millrace broker import-kafka %s", dir, dir)
	}
	return nil
}

// writeProperties makes the file whole or not at all.
func writeProperties(fsys vfs.FS, dir string, p properties) error {
	if p.directoryID == (kafkadir.UUID{}) {
		p.directoryID = kafkadir.UUID(newID())
	}
	content := fmt.Sprintf("version=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\nmillrace.format=%d\n", p.clusterID, *p.nodeID, p.directoryID, formatVersion)
	return vfs.WriteFile(fsys, filepath.Join(dir, propertiesName), []byte(content))
}

// openMetadata opens the metadata of a data directory whose properties are known. The
// format goes up before anything of the newer one is there, so that an older version never sees it.
func openMetadata(c metadata.Config, dir string, known properties) (*metadata.Store, error) {
	if known.nodeID != nil {
		c.NodeID = *known.nodeID
	}
	if known.format > 0 && known.format < formatVersion {
		if err := writeProperties(c.FS, dir, known); err != nil {
			return nil, err
		}
	}
	c.Dir = filepath.Join(dir, "metadata")
	return metadata.Open(c)
}
