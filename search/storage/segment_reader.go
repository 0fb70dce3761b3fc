package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/column"
)

// segmentReader reads the columns of a segment. It may be used by several goroutines.
type segmentReader struct {
	file   vfs.File
	pq     *parquet.File
	leaves map[string]parquet.LeafColumn
	tokens *tokensReader
	// cuts names the columns whose values are cut out of the sources.
	cuts []string
}

// openSegment opens the columns and filters of a segment.
func openSegment(fs vfs.FS, dir string, id int64) (*segmentReader, error) {
	name := segmentPath(dir, id, "parquet")
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	r := &segmentReader{file: f, leaves: map[string]parquet.LeafColumn{}}
	if err := r.load(name); err != nil {
		_ = f.Close() // the damage is what matters
		return nil, err
	}
	if r.tokens, err = openTokens(fs, segmentPath(dir, id, "tokens")); err != nil {
		_ = f.Close() // likewise
		return nil, err
	}
	return r, nil
}

func (r *segmentReader) load(name string) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	r.pq, err = parquet.OpenFile(r.file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(128<<10))
	if err != nil {
		return fmt.Errorf("%w: %w", &CorruptionError{File: filepath.Base(name), Reason: "parquet"}, err)
	}
	if names, ok := r.pq.Lookup(cutMetadata); ok && names != "" {
		r.cuts = strings.Split(names, "\x00")
	}
	for _, field := range r.pq.Schema().Fields() {
		if leaf, ok := r.pq.Schema().Lookup(field.Name()); ok {
			r.leaves[field.Name()] = leaf
		}
	}
	return nil
}

func (r *segmentReader) close() error {
	return errors.Join(r.file.Close(), r.tokens.close())
}

func (r *segmentReader) chunk(group int, name string) (*parquet.FileColumnChunk, parquet.LeafColumn, bool) {
	leaf, ok := r.leaves[name]
	if !ok {
		return nil, leaf, false
	}
	chunk, ok := r.pq.RowGroups()[group].ColumnChunks()[leaf.ColumnIndex].(*parquet.FileColumnChunk)
	return chunk, leaf, ok
}

// bounds returns the least and the greatest value of an Int column in the group.
func (r *segmentReader) bounds(group int, name string) (low, high int64, ok bool) {
	chunk, leaf, ok := r.chunk(group, name)
	if !ok || leaf.Node.Type().Kind() != parquet.Int64 {
		return 0, 0, false
	}
	least, greatest, ok := chunk.Bounds()
	if !ok || least.IsNull() || greatest.IsNull() {
		return 0, 0, false
	}
	return least.Int64(), greatest.Int64(), true
}

// column reads a column of a group, nil where the segment has none.
func (r *segmentReader) column(group int, name string) (*column.Column, error) {
	chunk, leaf, ok := r.chunk(group, name)
	if !ok {
		return nil, nil
	}
	meta := &r.pq.Metadata().RowGroups[group]
	l := columnLoader{leaf: leaf, out: &column.Column{}, rows: int(meta.NumRows), bytesMax: meta.Columns[leaf.ColumnIndex].MetaData.TotalUncompressedSize}
	pages := chunk.Pages()
	defer func() { _ = pages.Close() }() // only read
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return l.finish(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read column %q of %s: %w", name, r.file.Name(), err)
		}
		l.page(page)
		parquet.Release(page)
	}
}

// columnBytesMax bounds the room that is made on the word of a file.
const columnBytesMax = 64 << 20

// columnLoader gathers the pages of a column.
type columnLoader struct {
	leaf  parquet.LeafColumn
	out   *column.Column
	count uint32
	// rows and bytesMax are the size of the column, for which room is made at once.
	rows     int
	bytesMax int64
	// dictionary is set once a page had one; plain once a page had none.
	dictionary, plain bool
}

func (l *columnLoader) page(page parquet.Page) {
	before := l.count
	data := page.Data()
	switch l.leaf.Node.Type().Kind() {
	case parquet.Int64:
		l.out.Kind = column.Int
		values := data.Int64()
		if l.out.Ints == nil {
			l.out.Ints = make([]int64, 0, l.rows)
		}
		l.out.Ints = append(l.out.Ints, values...)
		l.count += uint32(len(values))
	case parquet.Double:
		l.out.Kind = column.Float
		values := data.Double()
		l.out.Floats = append(l.out.Floats, values...)
		l.count += uint32(len(values))
	default:
		l.out.Kind = column.Bytes
		l.bytes(page)
	}
	l.levels(page, before)
}

func (l *columnLoader) bytes(page parquet.Page) {
	data := page.Data()
	if dictionary := page.Dictionary(); dictionary != nil && !l.plain {
		if !l.dictionary {
			l.dictionary = true
			entries := dictionary.Page().Data()
			content, offsets := entries.ByteArray()
			l.out.Data, l.out.Starts = nil, []uint32{0}
			appendByteArrays(l.out, content, offsets)
			l.out.Codes = make([]int32, 0, l.rows)
		}
		codes := data.Int32()
		l.out.Codes = append(l.out.Codes, codes...)
		l.count += uint32(len(codes))
		return
	} else if dictionary != nil {
		entries := dictionary.Page().Data()
		content, offsets := entries.ByteArray()
		for _, code := range data.Int32() {
			l.appendPlain(content[offsets[code]:offsets[code+1]])
			l.count++
		}
		return
	}
	l.makePlain()
	content, offsets := data.ByteArray()
	appendByteArrays(l.out, content, offsets)
	l.count += uint32(max(len(offsets)-1, 0))
}

// makePlain undoes a dictionary that did not last for the whole column.
func (l *columnLoader) makePlain() {
	if l.plain {
		return
	}
	l.plain = true
	old := *l.out
	l.out.Data, l.out.Starts, l.out.Codes = nil, make([]uint32, 1, l.rows+1), nil
	if !l.dictionary {
		l.out.Data = make([]byte, 0, min(l.bytesMax, columnBytesMax))
		return
	}
	for i := range old.Codes {
		l.appendPlain(old.Bytes(i))
	}
}

func (l *columnLoader) appendPlain(v []byte) {
	l.out.Data = append(l.out.Data, v...)
	l.out.Starts = append(l.out.Starts, uint32(len(l.out.Data)))
}

func appendByteArrays(out *column.Column, content []byte, offsets []uint32) {
	if len(offsets) < 2 {
		return
	}
	first, base := offsets[0], uint32(len(out.Data))
	out.Data = append(out.Data, content[first:offsets[len(offsets)-1]]...)
	for _, offset := range offsets[1:] {
		out.Starts = append(out.Starts, base+offset-first)
	}
}

// levels turns the levels of a page into row offsets.
func (l *columnLoader) levels(page parquet.Page, value uint32) {
	if l.leaf.MaxDefinitionLevel == 0 {
		return
	}
	if l.out.Offsets == nil {
		l.out.Offsets = make([]uint32, 1, l.rows+1)
	}
	definitions, repetitions := page.DefinitionLevels(), page.RepetitionLevels()
	for i, definition := range definitions {
		if int(definition) == l.leaf.MaxDefinitionLevel {
			value++
		}
		if l.leaf.MaxRepetitionLevel > 0 && repetitions[i] > 0 {
			l.out.Offsets[len(l.out.Offsets)-1] = value
			continue
		}
		l.out.Offsets = append(l.out.Offsets, value)
	}
}

func (l *columnLoader) finish() *column.Column {
	if l.out.Kind == 0 {
		return nil
	}
	if l.out.Kind == column.Bytes && l.out.Starts == nil {
		l.out.Starts = []uint32{0}
	}
	return l.out
}

// sources calls use with the whole source of each of the rows, which must ascend. It may be kept.
func (r *segmentReader) sources(group int, rows []int, use func(i int, source []byte)) error {
	shortened := make([][]byte, len(rows))
	wanted := make([][]int, len(r.cuts)) // positions in rows by cut column
	i := 0
	err := r.rows(group, columnSource, rows, func(_ int, v []byte) {
		shortened[i] = slices.Clone(v)
		cutsOf(v, func(c int) {
			if c < len(wanted) {
				wanted[c] = append(wanted[c], i)
			}
		})
		i++
	})
	if err != nil {
		return err
	}
	values := make([]map[int][]byte, len(r.cuts))
	for c, positions := range wanted {
		values[c] = map[int][]byte{}
		at := make([]int, 0, len(positions))
		for _, p := range positions {
			at = append(at, rows[p])
		}
		i := 0
		err := r.rows(group, r.cuts[c], at, func(_ int, v []byte) {
			values[c][positions[i]] = slices.Clone(v)
			i++
		})
		if err != nil {
			return err
		}
	}
	for i, short := range shortened {
		whole, err := restore(nil, short, func(c int) ([]byte, error) {
			if c < len(values) && values[c][i] != nil {
				return values[c][i], nil
			}
			return nil, &CorruptionError{File: r.file.Name(), Reason: fmt.Sprintf("source of row %d of group %d", rows[i], group)}
		})
		if err != nil {
			return err
		}
		use(i, whole)
	}
	return nil
}

// rows calls use with the value of a byte column in each of the rows, which must
// ascend and have one value each. The value is valid until use returns.
func (r *segmentReader) rows(group int, name string, rows []int, use func(row int, value []byte)) error {
	chunk, _, ok := r.chunk(group, name)
	if !ok {
		return fmt.Errorf("column %q is missing in %s", name, r.file.Name())
	}
	if _, err := chunk.OffsetIndex(); err != nil { // read once, then SeekToRow needs no scan
		return fmt.Errorf("read page index of %s: %w", r.file.Name(), err)
	}
	pages := chunk.Pages()
	defer func() { _ = pages.Close() }() // only read
	var page parquet.Page
	first, count := 0, 0
	defer func() {
		if page != nil {
			parquet.Release(page)
		}
	}()
	for _, row := range rows {
		if page == nil || row >= first+count {
			if page != nil {
				parquet.Release(page)
				page = nil
			}
			if err := pages.SeekToRow(int64(row)); err != nil {
				return fmt.Errorf("seek in %s: %w", r.file.Name(), err)
			}
			next, err := pages.ReadPage()
			if err != nil {
				return fmt.Errorf("read %q of %s: %w", name, r.file.Name(), err)
			}
			page, first, count = next, row, int(next.NumRows())
		}
		var value [1]parquet.Value
		one := page.Slice(int64(row-first), int64(row-first)+1)
		if n, err := one.Values().ReadValues(value[:]); n < 1 {
			return fmt.Errorf("read %q of %s: row %d: %w", name, r.file.Name(), row, err)
		}
		use(row, value[0].ByteArray())
	}
	return nil
}

// spec describes a column as the file has it.
func (r *segmentReader) spec(name string, leaf parquet.LeafColumn) columnSpec {
	spec := columnSpec{name: name, kind: column.Bytes}
	for _, group := range r.pq.Metadata().RowGroups {
		encodings := group.Columns[leaf.ColumnIndex].MetaData.Encoding
		spec.dict = spec.dict || slices.Contains(encodings, format.RLEDictionary)
	}
	switch leaf.Node.Type().Kind() {
	case parquet.Int64:
		spec.kind = column.Int
	case parquet.Double:
		spec.kind = column.Float
	}
	switch {
	case leaf.MaxRepetitionLevel > 0:
		spec.rep = repeated
	case leaf.MaxDefinitionLevel > 0:
		spec.rep = optional
	}
	return spec
}
