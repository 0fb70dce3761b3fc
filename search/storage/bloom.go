package storage

import "encoding/binary"

// A bloom filter here is a split-block filter as Parquet defines it: blocks of 32
// bytes, in each of which a key sets eight bits, so that a look-up reads one block.

const bloomBlockBytes = 32

// bloomBitsPerKey gives about one false answer in a hundred.
const bloomBitsPerKey = 10

// salts are those of the Parquet format.
func bloomSalts() [8]uint32 {
	return [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}
}

// bloomBlocks returns the number of blocks for a number of keys.
func bloomBlocks(keys int) int { return max(1, (keys*bloomBitsPerKey+255)/256) }

func bloomBlockOf(hash uint64, blocks int) int {
	return int((hash >> 32) * uint64(blocks) >> 32)
}

func bloomAdd(filter []byte, hash uint64) {
	block := filter[bloomBlockOf(hash, len(filter)/bloomBlockBytes)*bloomBlockBytes:]
	for i, salt := range bloomSalts() {
		word := binary.LittleEndian.Uint32(block[4*i:])
		binary.LittleEndian.PutUint32(block[4*i:], word|1<<(uint32(hash)*salt>>27))
	}
}

// bloomHas tests one block.
func bloomHas(block []byte, hash uint64) bool {
	for i, salt := range bloomSalts() {
		if binary.LittleEndian.Uint32(block[4*i:])&(1<<(uint32(hash)*salt>>27)) == 0 {
			return false
		}
	}
	return true
}

// TermHash returns the hash under which the filters hold a term. Whole values and the
// words of analysed text are told apart by whole.
func TermHash(term []byte, whole bool) uint64 {
	hash := uint64(14695981039346656037)
	if whole {
		hash = 1099511628211
	}
	for _, c := range term {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	hash ^= hash >> 33
	hash *= 0xff51afd7ed558ccd
	hash ^= hash >> 33
	hash *= 0xc4ceb9fe1a85ec53
	return hash ^ hash>>33
}

// hashSet is a set of hashes with open addressing.
type hashSet struct {
	slots []uint64
	count int
	zero  bool
}

func (s *hashSet) add(hash uint64) {
	if hash == 0 {
		s.zero = true
		return
	}
	if 2*(s.count+1) > len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case hash:
			return
		case 0:
			s.slots[i] = hash
			s.count++
			return
		}
	}
}

func (s *hashSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(256, 4*len(old)))
	s.count = 0
	for _, hash := range old {
		if hash != 0 {
			s.add(hash)
		}
	}
}

func (s *hashSet) filter() []byte {
	filter := make([]byte, bloomBlocks(s.count+1)*bloomBlockBytes)
	for _, hash := range s.slots {
		if hash != 0 {
			bloomAdd(filter, hash)
		}
	}
	if s.zero {
		bloomAdd(filter, 0)
	}
	return filter
}

func (s *hashSet) reset() {
	clear(s.slots)
	s.count, s.zero = 0, false
}
