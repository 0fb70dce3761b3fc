package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// DumpOptions go with DumpSegment.
type DumpOptions struct {
	// Records prints each record; otherwise only batches are printed.
	Records bool
	// JSON prints one JSON object per line.
	JSON bool
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
}

// DumpSegment prints the content of a .log, .index, .timeindex, .txnindex, .snapshot or
// checkpoint file, which it knows by name. The lines are those of Kafka's
// DumpLogSegments, as far as they have the same content. It returns a
// [*CorruptionError] for the first damage, after printing what comes before.
func DumpSegment(w io.Writer, path string, o DumpOptions) error {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	d := dumper{w: w, path: path, o: o}
	name := filepath.Base(path)
	var err error
	switch {
	case strings.HasSuffix(name, suffixLog):
		err = d.log()
	case strings.HasSuffix(name, suffixIndex), strings.HasSuffix(name, suffixTimeIndex), strings.HasSuffix(name, suffixTxnIndex), strings.HasSuffix(name, suffixSnapshot),
		name == fileEpochs, name == fileRecoveryPoints, name == fileLogStarts, name == fileHighWatermarks, name == filePartitionMetadata:
		err = d.small(name)
	default:
		return fmt.Errorf("%s is none of *%s, *%s, *%s, *%s, *%s or a checkpoint", path, suffixLog, suffixIndex, suffixTimeIndex, suffixTxnIndex, suffixSnapshot)
	}
	if err == nil {
		err = d.err
	}
	return err
}

// dumper prints one file; the first error of writing stays in err.
type dumper struct {
	w    io.Writer
	path string
	o    DumpOptions
	err  error
}

// print writes one line: fields with their values, in order.
func (d *dumper) print(prefix string, fields ...any) {
	if d.err != nil {
		return
	}
	if !d.o.JSON {
		var b strings.Builder
		b.WriteString(prefix)
		for i := 0; i < len(fields); i += 2 {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%v: %v", fields[i], fields[i+1])
		}
		_, d.err = fmt.Fprintln(d.w, b.String())
		return
	}
	line := []byte{'{'}
	for i := 0; i < len(fields); i += 2 {
		value, err := json.Marshal(fields[i+1])
		if err != nil {
			d.err = err
			return
		}
		if i > 0 {
			line = append(line, ',')
		}
		line = append(fmt.Appendf(line, "%q:", fields[i]), value...)
	}
	_, d.err = d.w.Write(append(line, '}', '\n'))
}

func (d *dumper) corrupt(position, offset int64, reason string) error {
	return &CorruptionError{File: d.path, Position: position, Offset: offset, Reason: reason}
}

func (d *dumper) log() (err error) {
	f, err := d.o.FS.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	base, named := parseOffsetName(filepath.Base(d.path), suffixLog)
	next, position := base, int64(0)
	err = scanFile(f, 0, info.Size(), func(b batch.Batch, at int64) error {
		position = at
		crcErr := b.CheckCRC()
		d.batch(&b, at, crcErr == nil)
		if crcErr == nil && named && b.BaseOffset < next {
			crcErr = fmt.Errorf("%w: base offset %d, expected %d or more", batch.ErrCorrupt, b.BaseOffset, next)
		}
		if crcErr != nil {
			return crcErr
		}
		next = b.LastOffset() + 1
		if d.o.Records {
			if err := d.records(&b); err != nil {
				return err
			}
		}
		position = at + int64(len(b.Raw))
		return d.err
	})
	if isDamage(err) || errors.Is(err, batch.ErrCodec) || errors.Is(err, batch.ErrTooLarge) {
		return d.corrupt(position, next, err.Error())
	}
	return err
}

func timestampName(b *batch.Batch) string {
	if b.IsLogAppendTime() {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func (d *dumper) batch(b *batch.Batch, at int64, valid bool) {
	d.print("", "baseOffset", b.BaseOffset, "lastOffset", b.LastOffset(), "count", b.Count,
		"baseSequence", b.BaseSequence, "lastSequence", b.LastSequence(), "producerId", b.ProducerID, "producerEpoch", b.ProducerEpoch,
		"partitionLeaderEpoch", b.LeaderEpoch, "isTransactional", b.IsTransactional(), "isControl", b.IsControl(),
		"position", at, timestampName(b), b.MaxTimestamp, "size", len(b.Raw), "magic", batch.Magic,
		"compresscodec", b.Codec().String(), "crc", b.CRC, "isvalid", valid)
}

func (d *dumper) records(b *batch.Batch) error {
	sequence := b.BaseSequence
	for r, err := range b.Records() {
		if err != nil {
			return err
		}
		keys := make([]string, len(r.Headers))
		for i, h := range r.Headers {
			keys[i] = string(h.Key)
		}
		fields := []any{"offset", r.Offset, timestampName(b), r.Timestamp, "keySize", sizeOf(r.Key), "valueSize", sizeOf(r.Value), "sequence", sequence, "headerKeys", keys}
		if b.IsControl() {
			fields = append(fields, markerFields(b)...)
		}
		if r.Key != nil && !b.IsControl() {
			fields = append(fields, "key", string(r.Key))
		}
		if r.Value != nil && !b.IsControl() {
			fields = append(fields, "payload", string(r.Value))
		}
		d.print("| ", fields...)
		if sequence >= 0 {
			sequence = batch.AddSequence(sequence, 1)
		}
	}
	return nil
}

// markerFields says which transaction marker a control batch holds.
func markerFields(b *batch.Batch) []any {
	m, ok, err := parseMarker(b)
	switch {
	case err != nil || !ok:
		return []any{"controlType", "UNKNOWN"}
	case m.Commit:
		return []any{"endTxnMarker", "COMMIT", "coordinatorEpoch", m.CoordinatorEpoch}
	}
	return []any{"endTxnMarker", "ABORT", "coordinatorEpoch", m.CoordinatorEpoch}
}

func sizeOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// small prints a file that is read as a whole.
func (d *dumper) small(name string) error {
	content, err := vfs.ReadFile(d.o.FS, d.path)
	if err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(name, suffixSnapshot):
		err = d.snapshot(content)
	case strings.HasSuffix(name, suffixTxnIndex):
		err = d.txnIndex(content, name)
	case strings.HasSuffix(name, suffixTimeIndex):
		err = d.timeIndex(content, name)
	case strings.HasSuffix(name, suffixIndex):
		err = d.offsetIndex(content, name)
	case name == fileEpochs:
		err = d.epochs(content)
	case name == filePartitionMetadata:
		var id [16]byte
		if id, err = parsePartitionMetadata(content); err == nil {
			d.print("", "topic_id", fmt.Sprintf("%x", id))
		}
	default:
		err = d.offsets(content)
	}
	if err != nil {
		return d.corrupt(0, -1, err.Error())
	}
	return nil
}

func (d *dumper) snapshot(content []byte) error {
	entries, err := decodeSnapshot(content)
	for i := range entries {
		e := &entries[i]
		d.print("", "producerId", e.producerID, "producerEpoch", e.epoch, "coordinatorEpoch", e.coordinatorEpoch,
			"currentTxnFirstOffset", e.txnFirstOffset, "lastTimestamp", e.timestamp,
			"lastSequence", e.lastSequence, "lastOffset", e.lastOffset, "offsetDelta", e.offsetDelta)
	}
	return err
}

func (d *dumper) offsetIndex(content []byte, name string) error {
	base, _ := parseOffsetName(name, suffixIndex)
	const anySize = 1 << 40
	entries, err := decodeOffsetEntries(content, anySize)
	for _, e := range entries {
		d.print("", "offset", base+int64(e.relative), "position", e.position)
	}
	return err
}

func (d *dumper) timeIndex(content []byte, name string) error {
	base, _ := parseOffsetName(name, suffixTimeIndex)
	entries, err := decodeTimeEntries(content)
	for _, e := range entries {
		d.print("", "timestamp", e.timestamp, "offset", base+int64(e.relative))
	}
	return err
}

func (d *dumper) txnIndex(content []byte, name string) error {
	base, _ := parseOffsetName(name, suffixTxnIndex)
	txns, err := decodeAbortedTxns(content, base)
	for _, t := range txns {
		d.print("", "version", abortedTxnVersion, "producerId", t.producerID, "firstOffset", t.first, "lastOffset", t.last, "lastStableOffset", t.lastStable)
	}
	return err
}

func (d *dumper) epochs(content []byte) error {
	entries, err := parseEpochs(content)
	for _, e := range entries {
		d.print("", "epoch", e.epoch, "startOffset", e.start)
	}
	return err
}

func (d *dumper) offsets(content []byte) error {
	entries, err := parseCheckpoint(content, 3)
	if err == nil {
		_, err = parseOffsets(content)
	}
	for _, f := range entries {
		d.print("", "topic", f[0], "partition", f[1], "offset", f[2])
	}
	return err
}
