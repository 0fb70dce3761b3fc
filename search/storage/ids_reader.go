package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"strconv"

	"github.com/millrace/millrace/internal/vfs"
)

// idsReader answers which row of a segment has an _id. In memory it holds the
// prefixes and one entry in 128. It may be used by several goroutines.
type idsReader struct {
	file   vfs.File
	series map[string]*idSeries
	// hashes is the number of entries of the hashed part; heads holds the first 8
	// bytes of every hashBlock-th.
	hashes       int
	hashesOffset int64
	heads        []uint64
	sums         []uint32 // CRC-32C of each block of hashes
	filterSum    uint32
	filterOffset int64
	filterBlocks int
}

// idSeries is the numbers of one prefix.
type idSeries struct {
	count   int
	highest int64
	// firsts and offsets are the first number and the place of each block; offsets has
	// one more, the end.
	firsts  []int64
	offsets []int64
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

const idsTrailerBytes = 4 + 4 + len(idsMagic)

func openIDs(fs vfs.FS, name string) (*idsReader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	r := &idsReader{file: f, series: map[string]*idSeries{}}
	if err := r.load(name); err != nil {
		_ = f.Close() // the damage is what matters
		return nil, err
	}
	return r, nil
}

func (r *idsReader) close() error { return r.file.Close() }

func (r *idsReader) load(name string) error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	corrupt := func(reason string) error { return &CorruptionError{File: name, Offset: size, Reason: reason} }
	if size < int64(idsTrailerBytes+len(idsMagic)) {
		return corrupt("too short")
	}
	trailer := make([]byte, idsTrailerBytes)
	if _, err := r.file.ReadAt(trailer, size-int64(len(trailer))); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(trailer))
	if string(trailer[8:]) != idsMagic || length > size-int64(idsTrailerBytes) {
		return corrupt("no footer")
	}
	footer := make([]byte, length)
	if _, err := r.file.ReadAt(footer, size-int64(idsTrailerBytes)-length); err != nil {
		return err
	}
	if checksum(footer) != binary.LittleEndian.Uint32(trailer[4:]) {
		return corrupt("checksum of the footer")
	}
	d := decoder{data: footer}
	r.decode(&d)
	if d.failed || !r.plausible(size) {
		return corrupt("footer")
	}
	return r.checkFilter(size)
}

// plausible checks the places that the footer names.
func (r *idsReader) plausible(size int64) bool {
	for _, s := range r.series {
		if s.count == 0 {
			return false
		}
		for i := range s.firsts {
			if s.offsets[i] > s.offsets[i+1] {
				return false
			}
		}
		if s.offsets[len(s.offsets)-1] > size {
			return false
		}
	}
	return true
}

func (r *idsReader) decode(d *decoder) {
	for range d.count() {
		prefix := string(d.bytes(d.count()))
		s := &idSeries{count: int(d.uvarint()), highest: int64(d.uvarint())}
		blocks := (s.count + seriesBlock - 1) / seriesBlock
		for range blocks {
			s.firsts = append(s.firsts, int64(d.uvarint()))
			s.offsets = append(s.offsets, int64(d.uvarint()))
			if d.failed {
				return
			}
		}
		s.offsets = append(s.offsets, int64(d.uvarint()))
		r.series[prefix] = s
	}
	r.hashes = int(d.uvarint())
	r.hashesOffset = int64(d.uvarint())
	for range (r.hashes + hashBlock - 1) / hashBlock {
		head := d.bytes(8)
		if d.failed {
			return
		}
		sum := d.bytes(4)
		if d.failed {
			return
		}
		r.heads = append(r.heads, binary.BigEndian.Uint64(head))
		r.sums = append(r.sums, binary.LittleEndian.Uint32(sum))
	}
	r.filterOffset = int64(d.uvarint())
	r.filterBlocks = int(d.uvarint())
	if sum := d.bytes(4); !d.failed {
		r.filterSum = binary.LittleEndian.Uint32(sum)
	}
}

// checkFilter reads the filter once, for a bit that is lost in it would hide a document.
func (r *idsReader) checkFilter(size int64) error {
	corrupt := &CorruptionError{File: r.file.Name(), Offset: r.filterOffset, Reason: "filter"}
	length := int64(r.filterBlocks) * bloomBlockBytes
	if r.hashes == 0 {
		return nil
	}
	if length == 0 || r.filterOffset > size-length || r.hashesOffset > size-int64(r.hashes)*hashEntryBytes {
		return corrupt
	}
	filter := make([]byte, length)
	if _, err := r.file.ReadAt(filter, r.filterOffset); err != nil {
		return err
	}
	if checksum(filter) != r.filterSum {
		return corrupt
	}
	return nil
}

// find returns the row of the document, and false where the segment has none.
func (r *idsReader) find(id string) (address, bool, error) {
	if prefix, number, ok := splitID(id); ok {
		if s := r.series[prefix]; s != nil {
			return r.findNumber(s, number)
		}
	}
	if r.hashes == 0 {
		return 0, false, nil
	}
	return r.findHash(hashID(id))
}

func (r *idsReader) findNumber(s *idSeries, number int64) (address, bool, error) {
	if number > s.highest || number < s.firsts[0] {
		return 0, false, nil
	}
	i := sort.Search(len(s.firsts), func(i int) bool { return s.firsts[i] > number }) - 1
	block := make([]byte, s.offsets[i+1]-s.offsets[i])
	if _, err := r.file.ReadAt(block, s.offsets[i]); err != nil {
		return 0, false, fmt.Errorf("read ids: %w", err)
	}
	corrupt := &CorruptionError{File: r.file.Name(), Offset: s.offsets[i], Reason: "series"}
	if len(block) < 4 || checksum(block[:len(block)-4]) != binary.LittleEndian.Uint32(block[len(block)-4:]) {
		return 0, false, corrupt
	}
	d := decoder{data: block[:len(block)-4]}
	at, current := int64(0), s.firsts[i]
	for len(d.data) > 0 && !d.failed {
		current += int64(d.uvarint())
		at += d.varint()
		if current == number && !d.failed {
			return address(at), true, nil
		}
		if current > number {
			break
		}
	}
	if d.failed {
		return 0, false, corrupt
	}
	return 0, false, nil
}

func (r *idsReader) findHash(hash idHash) (address, bool, error) {
	var filter [bloomBlockBytes]byte
	at := r.filterOffset + int64(bloomBlockOf(hash.bloomKey(), r.filterBlocks))*bloomBlockBytes
	if _, err := r.file.ReadAt(filter[:], at); err != nil {
		return 0, false, fmt.Errorf("read ids: %w", err)
	}
	if !bloomHas(filter[:], hash.bloomKey()) {
		return 0, false, nil
	}
	head := binary.BigEndian.Uint64(hash[:8])
	// Equal heads may lie on both sides of a block's border: start at the last
	// block whose head is smaller.
	first := max(sort.Search(len(r.heads), func(i int) bool { return r.heads[i] >= head })-1, 0)
	last := sort.Search(len(r.heads), func(i int) bool { return r.heads[i] > head })
	from := first * hashBlock
	entries := min(last*hashBlock, r.hashes) - from
	if entries <= 0 {
		return 0, false, nil
	}
	buffer := make([]byte, entries*hashEntryBytes)
	if _, err := r.file.ReadAt(buffer, r.hashesOffset+int64(from)*hashEntryBytes); err != nil {
		return 0, false, fmt.Errorf("read ids: %w", err)
	}
	for block := first; block < last; block++ {
		part := buffer[(block-first)*hashBlock*hashEntryBytes : min((block-first+1)*hashBlock, entries)*hashEntryBytes]
		if checksum(part) != r.sums[block] {
			return 0, false, &CorruptionError{File: r.file.Name(), Offset: r.hashesOffset + int64(block*hashBlock)*hashEntryBytes, Reason: "hashes"}
		}
	}
	i := sort.Search(entries, func(i int) bool {
		return bytes.Compare(buffer[i*hashEntryBytes:i*hashEntryBytes+16], hash[:]) >= 0
	})
	if i == entries || !bytes.Equal(buffer[i*hashEntryBytes:i*hashEntryBytes+16], hash[:]) {
		return 0, false, nil
	}
	return address(binary.LittleEndian.Uint32(buffer[i*hashEntryBytes+16:])), true, nil
}

// decoder reads numbers and bytes; after a failure it returns zeros.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 || v > 1<<62 {
		d.failed, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.failed, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

// count reads a number of things of at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.failed, d.data = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.data) {
		d.failed, d.data = true, nil
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}
