package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// offsetMap knows the newest offset of each key of the part of a log that has
// not been compacted yet. As in Kafka (SkimpyOffsetMap) it keeps a hash of 128
// bits in place of the key, so that its memory is bounded whatever the keys are;
// two keys with the same hash would be taken for one, which with SHA-256 nobody
// can bring about. It is an open table with linear probing.
//
// It is for one goroutine. The memory is allocated for what is expected, not
// for the most that is allowed, and let go with the map.
type offsetMap struct {
	slots []offsetSlot
	n     int
	// full is the number of keys at which no other one is taken.
	full int
	// latest is the largest offset up to which the log is covered; -1 for none.
	latest int64
}

// offsetSlot is 24 bytes. An offset is stored plus one: 0 is a free slot.
type offsetSlot struct {
	hi, lo uint64
	offset int64
}

const offsetSlotSize = 24

// newOffsetMap makes a map for at most keys keys within bytesMax bytes, of
// which loadFactor may be used.
func newOffsetMap(keys, bytesMax int64, loadFactor float64) *offsetMap {
	most := max(bytesMax/offsetSlotSize, 2)
	slots := most
	if want := float64(keys)/loadFactor + 1; want < float64(most) {
		slots = max(int64(want), 2)
	}
	full := int(float64(slots) * loadFactor)
	return &offsetMap{slots: make([]offsetSlot, slots), full: min(max(full, 1), int(slots)-1), latest: -1}
}

func (m *offsetMap) hash(key []byte) (hi, lo uint64) {
	sum := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
}

// find returns the slot of a hash, or the free one where it belongs.
func (m *offsetMap) find(hi, lo uint64) *offsetSlot {
	at, _ := bits.Mul64(hi, uint64(len(m.slots)))
	for {
		s := &m.slots[at]
		if s.offset == 0 || s.hi == hi && s.lo == lo {
			return s
		}
		if at++; at == uint64(len(m.slots)) {
			at = 0
		}
	}
}

// put notes that key was written at offset. Offsets must grow. It returns false
// when the map is full: then nothing was noted.
func (m *offsetMap) put(key []byte, offset int64) bool {
	hi, lo := m.hash(key)
	s := m.find(hi, lo)
	if s.offset == 0 {
		if m.n >= m.full {
			return false
		}
		m.n++
		s.hi, s.lo = hi, lo
	}
	s.offset = offset + 1
	m.cover(offset)
	return true
}

// cover notes that everything up to offset is in the map.
func (m *offsetMap) cover(offset int64) { m.latest = max(m.latest, offset) }

// newest returns the newest offset of key, -1 when it is not in the map.
func (m *offsetMap) newest(key []byte) int64 {
	if m.n == 0 {
		return -1
	}
	return m.find(m.hash(key)).offset - 1
}
