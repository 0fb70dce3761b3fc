package storage

import "github.com/millrace/millrace/internal/buffers"

// readSpan is a run of whole batches.
type readSpan struct {
	data []byte
	next int64
	// buffer holds data when it was taken from the pool.
	buffer *buffers.Buffer
}
