package storage

import "sync/atomic"

// traffic counts what went into and out of a log since it was opened.
type traffic struct{ appended, read atomic.Int64 }

// Traffic returns the bytes of record batches that were appended and that were read since
// the log was opened.
func (l *Log) Traffic() (appendedBytes, readBytes int64) {
	return l.traffic.appended.Load(), l.traffic.read.Load()
}
