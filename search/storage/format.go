package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// formatVersion is the version of the directory's layout. A newer one is refused.
const formatVersion = 1

// Limits of the store.
const (
	// walFileBytesMax is the size at which a log file is followed by the next.
	walFileBytesMax = 16 << 20
	// walRecordBytesMax bounds one record: a document or a mapping.
	walRecordBytesMax = 128 << 20
	// blockBytesMax closes a block of the buffer before it has RowsMax rows.
	blockBytesMax = 8 << 20
	// bufferAgeMax is the age at which a buffer is written out, however small.
	bufferAgeMax = time.Minute
	// mergeRowsMax and mergeBytesMax bound the segment that a merge makes.
	mergeRowsMax  = 4 << 20
	mergeBytesMax = 1 << 30
	// mergeFanIn is the number of neighbours of like size that are merged.
	mergeFanIn = 8
	// mergeWidthMax is the largest number that one merge takes.
	mergeWidthMax = 16
	// documentOverheadBytes is what a buffered document costs beside its bytes.
	documentOverheadBytes = 160
)

// Names of the columns that every segment has.
const (
	columnID      = "_id"
	columnSource  = "_source"
	columnSeqNo   = "_seq_no"
	columnVersion = "_version"
)

// checksum is the CRC-32C over the parts.
func checksum(parts ...[]byte) uint32 {
	var crc uint32
	for _, part := range parts {
		crc = crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), part)
	}
	return crc
}

// Errors of the store.
var (
	// ErrLogFailed says that the write-ahead log could not be written; nothing is accepted until the next start.
	ErrLogFailed = errors.New("the write-ahead log has failed")
	// ErrClosed says that the store or the index is closed or deleted.
	ErrClosed = errors.New("closed")
	// ErrExists says that there is an index of the name.
	ErrExists = errors.New("index exists")
	// ErrNotFound says that there is no such index.
	ErrNotFound = errors.New("index not found")
)

// CorruptionError says that a file does not hold what was written.
type CorruptionError struct {
	File   string
	Offset int64
	Reason string
}

// Error implements error.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.File, e.Offset, e.Reason)
}

func continueChecksum(crc uint32, part []byte) uint32 {
	return crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), part)
}
