package storage

import "io"

// DumpOptions go with DumpSegment.
type DumpOptions struct {
	// Records prints each record; otherwise only batches are printed.
	Records bool
	// JSON prints one JSON object per line.
	JSON bool
}

// DumpSegment prints the content of a .log, .index, .timeindex, .snapshot or
// checkpoint file. It returns a [*CorruptionError] for the first damage, after printing what
// comes before.
func DumpSegment(w io.Writer, path string, o DumpOptions) error { panic("skeleton") }
