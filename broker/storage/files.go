package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/millrace/millrace/internal/vfs"
)

// Names within a log's directory and the data directory, as Kafka gives them.
const (
	suffixLog       = ".log"
	suffixIndex     = ".index"
	suffixTimeIndex = ".timeindex"
	suffixSnapshot  = ".snapshot"
	suffixTxnIndex  = ".txnindex"
	suffixDeleted   = ".deleted"
	suffixCleaned   = ".cleaned" // a segment that compaction writes
	suffixSwap      = ".swap"    // one that is complete and on its way to its place
	suffixTmp       = ".tmp"
	suffixDeleteDir = "-delete"

	fileEpochs            = "leader-epoch-checkpoint"
	filePartitionMetadata = "partition.metadata"
	fileRecoveryPoints    = "recovery-point-offset-checkpoint"
	fileLogStarts         = "log-start-offset-checkpoint"
	fileHighWatermarks    = "replication-offset-checkpoint"
	fileCleanerOffsets    = "cleaner-offset-checkpoint"
	fileCleanShutdown     = ".kafka_cleanshutdown"
	fileLock              = ".lock"
	fileFormat            = "millrace-format"
)

// offsetName returns the name of a file that begins at offset: 20 digits and suffix.
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

// readFile returns the content of a small file.
func readFile(fsys vfs.FS, name string) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > smallFileMax {
		return nil, fmt.Errorf("%s has %d bytes: too large for what it is", name, info.Size())
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// writeFile replaces a file as a whole: after a crash there is the old or the
// new content. The new content is durable on return if syncDir is set, or else
// after the directory is synced.
func writeFile(fsys vfs.FS, name string, content []byte, syncDir bool) error {
	tmp := name + suffixTmp
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeIfThere(fsys, tmp))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	if !syncDir {
		return nil
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// removeIfThere removes a file; one that is not there is no error.
func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isNoSpace says whether a write failed for want of space or quota.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
