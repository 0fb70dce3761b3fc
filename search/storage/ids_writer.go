package storage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// idsBuilder gathers the _ids of a segment.
type idsBuilder struct {
	series map[string][]seriesEntry
	hashes []hashEntry
}

type seriesEntry struct {
	number int64
	at     address
}

type hashEntry struct {
	hash idHash
	at   address
}

func newIDsBuilder() *idsBuilder { return &idsBuilder{series: map[string][]seriesEntry{}} }

// add notes where the live document with the _id is.
func (b *idsBuilder) add(id string, at address) {
	if prefix, number, ok := splitID(id); ok {
		b.series[prefix] = append(b.series[prefix], seriesEntry{number, at})
		return
	}
	b.hashes = append(b.hashes, hashEntry{hashID(id), at})
}

// encode writes the file.
func (b *idsBuilder) encode() []byte {
	out := []byte(idsMagic)
	var footer []byte
	prefixes := slices.Sorted(maps.Keys(b.series))
	kept := 0
	for _, prefix := range prefixes {
		if len(b.series[prefix]) < seriesMin {
			b.demote(prefix)
			continue
		}
		kept++
		out, footer = encodeSeries(out, footer, prefix, b.series[prefix])
	}
	footer = append(binary.AppendUvarint(nil, uint64(kept)), footer...)
	slices.SortFunc(b.hashes, func(x, y hashEntry) int { return bytes.Compare(x.hash[:], y.hash[:]) })
	footer = binary.AppendUvarint(footer, uint64(len(b.hashes)))
	footer = binary.AppendUvarint(footer, uint64(len(out)))
	filter := make([]byte, 0)
	if len(b.hashes) > 0 {
		filter = make([]byte, bloomBlocks(len(b.hashes))*bloomBlockBytes)
	}
	for i, entry := range b.hashes {
		out = append(out, entry.hash[:]...)
		out = binary.LittleEndian.AppendUint32(out, uint32(entry.at))
		if first := i - i%hashBlock; i == len(b.hashes)-1 || i == first+hashBlock-1 {
			footer = append(footer, b.hashes[first].hash[:8]...)
			footer = binary.LittleEndian.AppendUint32(footer, checksum(out[len(out)-(i-first+1)*hashEntryBytes:]))
		}
		bloomAdd(filter, entry.hash.bloomKey())
	}
	footer = binary.AppendUvarint(footer, uint64(len(out)))
	footer = binary.AppendUvarint(footer, uint64(len(filter)/bloomBlockBytes))
	footer = binary.LittleEndian.AppendUint32(footer, checksum(filter))
	out = append(out, filter...)
	out = append(out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	out = binary.LittleEndian.AppendUint32(out, checksum(footer))
	return append(out, idsMagic...)
}

// demote moves the entries of a short series to the hashed part.
func (b *idsBuilder) demote(prefix string) {
	for _, entry := range b.series[prefix] {
		id := string(appendInt([]byte(prefix), entry.number))
		b.hashes = append(b.hashes, hashEntry{hashID(id), entry.at})
	}
}

func encodeSeries(out, footer []byte, prefix string, entries []seriesEntry) ([]byte, []byte) {
	slices.SortFunc(entries, func(x, y seriesEntry) int { return cmp.Compare(x.number, y.number) })
	footer = binary.AppendUvarint(footer, uint64(len(prefix)))
	footer = append(footer, prefix...)
	footer = binary.AppendUvarint(footer, uint64(len(entries)))
	footer = binary.AppendUvarint(footer, uint64(entries[len(entries)-1].number))
	var number, at int64
	start := 0
	for i, entry := range entries {
		if i%seriesBlock == 0 {
			footer = binary.AppendUvarint(footer, uint64(entry.number))
			footer = binary.AppendUvarint(footer, uint64(len(out)))
			number, at, start = entry.number, 0, len(out)
		}
		out = binary.AppendUvarint(out, uint64(entry.number-number))
		out = binary.AppendVarint(out, int64(entry.at)-at)
		number, at = entry.number, int64(entry.at)
		if i%seriesBlock == seriesBlock-1 || i == len(entries)-1 {
			out = binary.LittleEndian.AppendUint32(out, checksum(out[start:]))
		}
	}
	return out, binary.AppendUvarint(footer, uint64(len(out)))
}
