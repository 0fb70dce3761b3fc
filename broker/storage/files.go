package storage

import (
	"errors"
	"fmt"
	"io/fs"
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
