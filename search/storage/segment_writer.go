package storage

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/column"
)

// repetition says how many values a column has per row.
type repetition uint8

const (
	required repetition = iota // exactly one
	optional                   // at most one
	repeated                   // any number
)

// columnSpec describes a column of a segment.
type columnSpec struct {
	name string
	kind column.Kind
	rep  repetition
	dict bool
}

// pageBytes is the size of a page before compression: what is read for one document.
const pageBytes = 128 << 10

// segmentWriter writes the files of a segment, row group by row group.
type segmentWriter struct {
	fs     vfs.FS
	base   string // path without extension
	specs  []columnSpec
	file   vfs.File
	buffer *bufio.Writer
	pq     *parquet.GenericWriter[any]
	order  []int // column index in the file by spec
	names  []string
	cuts   []int // specs whose values are cut out of the source
	tokens *tokensBuilder
	ids    *idsBuilder
	meta   segmentMeta
	values []parquet.Value
}

// group is a row group as it is handed to the writer.
type group struct {
	rows    int
	columns []*column.Column // by spec, nil where no row has a value
	deleted column.Bitmap
}

func segmentPath(dir string, id int64, extension string) string {
	return path.Join(dir, fmt.Sprintf("%d.%s", id, extension))
}

// newSegmentWriter creates the segment's files. specs must contain _id and _seq_no.
func newSegmentWriter(fs vfs.FS, dir string, id int64, specs []columnSpec) (*segmentWriter, error) {
	w := &segmentWriter{
		fs: fs, base: segmentPath(dir, id, ""), specs: specs,
		tokens: newTokensBuilder(), ids: newIDsBuilder(),
		meta: segmentMeta{ID: id, Bounds: map[string][2]int64{}, SeqMin: -1},
	}
	f, err := fs.Create(w.base + "parquet")
	if err != nil {
		return nil, err
	}
	w.file = f
	w.buffer = bufio.NewWriterSize(&fileWriter{file: f}, 256<<10)
	nodes := parquet.Group{}
	for _, spec := range specs {
		nodes[spec.name] = spec.node()
		w.names = append(w.names, spec.name)
	}
	schema := parquet.NewSchema("document", nodes)
	for _, spec := range specs {
		leaf, ok := schema.Lookup(spec.name)
		if !ok {
			return nil, fmt.Errorf("column %q is missing in its own schema", spec.name)
		}
		w.order = append(w.order, leaf.ColumnIndex)
	}
	cut := cutNames(specs)
	for _, name := range cut {
		w.cuts = append(w.cuts, slices.Index(w.names, name))
	}
	w.pq = parquet.NewGenericWriter[any](w.buffer, schema,
		parquet.KeyValueMetadata(cutMetadata, strings.Join(cut, "\x00")),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(pageBytes),
		parquet.ColumnIndexSizeLimit(func([]string) int { return 16 }),
		parquet.CreatedBy("millrace", "1", ""),
	)
	return w, nil
}

func (s columnSpec) node() parquet.Node {
	var node parquet.Node
	switch {
	case s.kind == column.Int:
		node = parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.DeltaBinaryPacked)
	case s.kind == column.Float:
		node = parquet.Leaf(parquet.DoubleType)
	case s.dict:
		node = parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.RLEDictionary)
	case s.name == columnID:
		node = parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.DeltaByteArray)
	default:
		node = parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.DeltaLengthByteArray)
	}
	switch s.rep {
	case optional:
		return parquet.Optional(node)
	case repeated:
		return parquet.Repeated(node)
	default:
		return node
	}
}

// write adds a row group.
func (w *segmentWriter) write(g group) error {
	if g.rows == 0 {
		return nil
	}
	writers := w.pq.ColumnWriters()
	for i, spec := range w.specs {
		c := g.columns[i]
		if spec.name == columnSource {
			var cut []*column.Column
			for _, of := range w.cuts {
				cut = append(cut, g.columns[of])
			}
			c = cutColumn(c, g.rows, cut)
		}
		if err := w.writeColumn(writers[w.order[i]], spec, w.order[i], c, g.rows); err != nil {
			return fmt.Errorf("write column %q: %w", spec.name, err)
		}
	}
	if err := w.pq.Flush(); err != nil {
		return err
	}
	block := w.meta.Groups
	w.meta.Groups++
	w.meta.Counts = append(w.meta.Counts, g.rows)
	w.meta.Rows += int64(g.rows)
	w.note(block, g)
	indexed := slices.Clone(g.columns)
	for i, spec := range w.specs {
		if strings.HasPrefix(spec.name, "_") && (spec.name == columnID || spec.name == columnSource) {
			indexed[i] = nil
		}
	}
	w.tokens.group(w.names, indexed)
	return nil
}

// note takes over what is known of a row group: its _ids and bounds.
func (w *segmentWriter) note(block int, g group) {
	for i, spec := range w.specs {
		c := g.columns[i]
		if c == nil {
			continue
		}
		switch {
		case spec.name == columnID:
			for row := range g.rows {
				if !g.deleted.Has(row) {
					w.ids.add(string(c.Bytes(row)), makeAddress(block, row))
				}
			}
		case spec.name == columnSeqNo:
			if w.meta.SeqMin < 0 {
				w.meta.SeqMin = c.Ints[0]
			}
			w.meta.SeqMax = max(w.meta.SeqMax, slices.Max(c.Ints))
		case spec.kind == column.Int && c.Len() > 0 && spec.name != columnVersion:
			w.bound(spec.name, c.Ints)
		}
	}
}

func (w *segmentWriter) bound(name string, values []int64) {
	low, high := slices.Min(values), slices.Max(values)
	if before, ok := w.meta.Bounds[name]; ok {
		low, high = min(low, before[0]), max(high, before[1])
	}
	w.meta.Bounds[name] = [2]int64{low, high}
}

// rowsPerWrite keeps pages near their size.
const rowsPerWrite = 128

func (w *segmentWriter) writeColumn(out *parquet.ColumnWriter, spec columnSpec, index int, c *column.Column, rows int) error {
	for from := 0; from < rows; from += rowsPerWrite {
		w.values = w.values[:0]
		for row := from; row < min(from+rowsPerWrite, rows); row++ {
			lo, hi := 0, 0
			if c != nil {
				lo, hi = c.Range(row)
			}
			if lo == hi {
				if spec.rep == required {
					return fmt.Errorf("row %d has no value", row)
				}
				w.values = append(w.values, parquet.Value{}.Level(0, 0, index))
				continue
			}
			if err := w.appendRow(spec, index, c, lo, hi); err != nil {
				return err
			}
		}
		if _, err := out.WriteRowValues(w.values); err != nil {
			return err
		}
	}
	return nil
}

func (w *segmentWriter) appendRow(spec columnSpec, index int, c *column.Column, lo, hi int) error {
	if hi-lo > 1 && spec.rep != repeated {
		return fmt.Errorf("%d values in a row of a column for one", hi-lo)
	}
	definition := 1
	if spec.rep == required {
		definition = 0
	}
	for i := lo; i < hi; i++ {
		var v parquet.Value
		switch c.Kind {
		case column.Int:
			v = parquet.Int64Value(c.Ints[i])
		case column.Float:
			v = parquet.DoubleValue(c.Floats[i])
		case column.Bytes:
			v = parquet.ByteArrayValue(c.Bytes(i))
		}
		repetition := 0
		if i > lo {
			repetition = 1
		}
		w.values = append(w.values, v.Level(repetition, definition, index))
	}
	return nil
}

// finish completes the files and makes them durable, except for the directory.
func (w *segmentWriter) finish() (segmentMeta, error) {
	defer func() { w.file = nil }()
	if err := w.pq.Close(); err != nil {
		return w.meta, err
	}
	if err := w.buffer.Flush(); err != nil {
		return w.meta, err
	}
	if err := w.file.Sync(); err != nil {
		return w.meta, err
	}
	info, err := w.file.Stat()
	if err != nil {
		return w.meta, err
	}
	if err := w.file.Close(); err != nil {
		return w.meta, err
	}
	ids, tokens := w.ids.encode(), w.tokens.encode()
	w.meta.Bytes = info.Size() + int64(len(ids)+len(tokens))
	if err := writeFile(w.fs, w.base+"ids", ids); err != nil {
		return w.meta, err
	}
	return w.meta, writeFile(w.fs, w.base+"tokens", tokens)
}

// abort closes and removes what was written; the names may be used again.
func (w *segmentWriter) abort() {
	if w.file != nil {
		_ = w.file.Close() // the error that led here is the one to tell
	}
	for _, extension := range []string{"parquet", "ids", "tokens"} {
		_ = w.fs.Remove(w.base + extension) // what stays is removed at the next start
	}
}

// writeFile creates a file with the content and syncs it.
func writeFile(fs vfs.FS, name string, content []byte) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// fileWriter writes a file from front to back.
type fileWriter struct {
	file   vfs.File
	offset int64
}

// Write implements [io.Writer].
func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.WriteAt(p, w.offset)
	w.offset += int64(n)
	return n, err
}

var _ io.Writer = (*fileWriter)(nil)

// specsOf returns the columns that the blocks need, ordered by name.
func specsOf(blocks []*memBlock, nameOf func(slot int) string) []columnSpec {
	found := map[string]*columnSpec{}
	for _, b := range blocks {
		for slot, c := range b.columns {
			if c == nil {
				continue
			}
			name := nameOf(slot)
			spec := found[name]
			if spec == nil {
				spec = &columnSpec{name: name, kind: c.Kind(), rep: optional}
				found[name] = spec
				spec.dict = c.Kind() == column.Bytes && fewValues(c.View(b.rows))
			}
			if c.Multi() {
				spec.rep = repeated
			}
		}
	}
	specs := systemSpecs(slices.ContainsFunc(blocks, func(b *memBlock) bool { return b.versions.Len() > 0 }))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		specs = append(specs, *found[name])
	}
	return specs
}

func systemSpecs(versions bool) []columnSpec {
	specs := []columnSpec{
		{name: columnID, kind: column.Bytes},
		{name: columnSource, kind: column.Bytes},
		{name: columnSeqNo, kind: column.Int},
	}
	if versions {
		specs = append(specs, columnSpec{name: columnVersion, kind: column.Int, rep: optional})
	}
	return specs
}

// fewValues reports whether a dictionary is worth its while, by a sample.
func fewValues(c *column.Column) bool {
	if c.Codes != nil {
		return true
	}
	const sample = 2048
	seen := map[string]struct{}{}
	n := min(c.Len(), sample)
	size := 0
	for i := range n {
		v := c.Bytes(i)
		size += len(v)
		seen[string(v)] = struct{}{}
	}
	return len(seen) <= 16 || len(seen) < n/4 && size < 256*n
}
