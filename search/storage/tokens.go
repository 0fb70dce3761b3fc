package storage

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/analysis"
	"github.com/millrace/millrace/search/column"
)

// A tokens file has a bloom filter per row group and column of text: the words
// of the values and the values as a whole.
//
//	file   = magic, filters, footer, length of footer u32, CRC-32C of footer u32, magic
//	footer = groups; per group: columns; per column: name, offset, blocks, CRC-32C of the filter
const tokensMagic = "MRSTOK01"

// tokensBuilder writes a tokens file group by group.
type tokensBuilder struct {
	out    []byte
	footer []byte
	groups int
	set    hashSet
	words  analysis.Tokenizer
}

func newTokensBuilder() *tokensBuilder { return &tokensBuilder{out: []byte(tokensMagic)} }

// group adds the filters of the next row group.
func (b *tokensBuilder) group(names []string, columns []*column.Column) {
	b.groups++
	count := 0
	var entries []byte
	for i, c := range columns {
		if c == nil || c.Kind != column.Bytes {
			continue
		}
		b.set.reset()
		n := c.Len()
		if c.Codes != nil {
			n = c.DictLen()
		}
		for v := range n {
			b.value(c.DictEntry(v))
		}
		filter := b.set.filter()
		entries = binary.AppendUvarint(entries, uint64(len(names[i])))
		entries = append(entries, names[i]...)
		entries = binary.AppendUvarint(entries, uint64(len(b.out)))
		entries = binary.AppendUvarint(entries, uint64(len(filter)/bloomBlockBytes))
		entries = binary.LittleEndian.AppendUint32(entries, checksum(filter))
		b.out = append(b.out, filter...)
		count++
	}
	b.footer = binary.AppendUvarint(b.footer, uint64(count))
	b.footer = append(b.footer, entries...)
}

func (b *tokensBuilder) value(value []byte) {
	b.set.add(TermHash(value, true))
	b.words.Reset(value)
	for word, ok := b.words.Next(); ok; word, ok = b.words.Next() {
		b.set.add(TermHash(word, false))
	}
}

func (b *tokensBuilder) encode() []byte {
	footer := append(binary.AppendUvarint(nil, uint64(b.groups)), b.footer...)
	out := append(b.out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	out = binary.LittleEndian.AppendUint32(out, checksum(footer))
	return append(out, tokensMagic...)
}

// tokensReader answers whether a row group may have a term.
type tokensReader struct {
	file   vfs.File
	groups []map[string]*filterPlace
}

// filterPlace is one filter. It is read as a whole once, to check it, because a bit that is lost
// in it would hide documents; then block by block.
type filterPlace struct {
	offset  int64
	blocks  int
	sum     uint32
	checked atomic.Bool
}

func openTokens(fs vfs.FS, name string) (*tokensReader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	r := &tokensReader{file: f}
	if err := r.load(name); err != nil {
		_ = f.Close() // the damage is what matters
		return nil, err
	}
	return r, nil
}

func (r *tokensReader) load(name string) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	trailerBytes := int64(8 + len(tokensMagic))
	corrupt := func(reason string) error { return &CorruptionError{File: name, Offset: size, Reason: reason} }
	if size < trailerBytes {
		return corrupt("too short")
	}
	trailer := make([]byte, trailerBytes)
	if _, err := r.file.ReadAt(trailer, size-trailerBytes); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(trailer))
	if string(trailer[8:]) != tokensMagic || length > size-trailerBytes {
		return corrupt("no footer")
	}
	footer := make([]byte, length)
	if _, err := r.file.ReadAt(footer, size-trailerBytes-length); err != nil {
		return err
	}
	if checksum(footer) != binary.LittleEndian.Uint32(trailer[4:]) {
		return corrupt("checksum of the footer")
	}
	d := decoder{data: footer}
	names := map[string]string{} // one copy of each name
	for range d.count() {
		group := map[string]*filterPlace{}
		for range d.count() {
			raw := d.bytes(d.count())
			column, ok := names[string(raw)]
			if !ok {
				column = string(raw)
				names[column] = column
			}
			place := &filterPlace{offset: int64(d.uvarint()), blocks: int(d.uvarint())}
			if sum := d.bytes(4); !d.failed {
				place.sum = binary.LittleEndian.Uint32(sum)
			}
			if place.blocks < 1 || place.blocks > int(size/bloomBlockBytes) || place.offset > size-int64(place.blocks)*bloomBlockBytes {
				return corrupt("footer")
			}
			group[column] = place
		}
		r.groups = append(r.groups, group)
	}
	if d.failed {
		return corrupt("footer")
	}
	return nil
}

// mayHave reports whether the column may have the term in the group. A column
// without a filter has no values there.
func (r *tokensReader) mayHave(group int, name string, hash uint64) (bool, error) {
	if group >= len(r.groups) {
		return true, nil
	}
	place, ok := r.groups[group][name]
	if !ok {
		return false, nil
	}
	if !place.checked.Load() {
		if err := r.check(place); err != nil {
			return false, err
		}
	}
	var block [bloomBlockBytes]byte
	if _, err := r.file.ReadAt(block[:], place.offset+int64(bloomBlockOf(hash, place.blocks))*bloomBlockBytes); err != nil {
		return false, fmt.Errorf("read tokens: %w", err)
	}
	return bloomHas(block[:], hash), nil
}

func (r *tokensReader) check(place *filterPlace) error {
	filter := make([]byte, place.blocks*bloomBlockBytes)
	if _, err := r.file.ReadAt(filter, place.offset); err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	if checksum(filter) != place.sum {
		return &CorruptionError{File: r.file.Name(), Offset: place.offset, Reason: "filter"}
	}
	place.checked.Store(true)
	return nil
}

func (r *tokensReader) close() error { return r.file.Close() }
