package storage

import (
	"crypto/sha256"
	"encoding/binary"
)

// An ids file says which row of a segment has an _id. Most _ids are a file's
// identity and an offset in it, so that they are kept as series: a prefix, and the
// numbers behind it in ascending order, two to four bytes for each.
// A new line has a number past all others of its prefix, and no read is needed to
// know that it is new. Other _ids are kept as the first 16 bytes of
// their SHA-256, sorted, behind a bloom filter; that two differ and hash alike is out of the question.
//
//	file    = magic, body, footer, length of footer u32, CRC-32C of footer u32, magic
//	body    = blocks of series, each with its CRC-32C; hashes of 20 bytes (hash 16, address u32); filter
//	footer  = series; number and offset of the hashes, with the head and the CRC-32C of each
//	          block of them; offset, blocks and CRC-32C of the filter
const idsMagic = "MRSIDS01"

const (
	// seriesMin is the number of _ids from which a prefix is a series.
	seriesMin = 8
	// seriesBlock is the number of entries between two that are indexed.
	seriesBlock = 128
	// hashEntryBytes is the size of an entry of the hashed part.
	hashEntryBytes = 20
	// hashBlock is the number of hashed entries between two that are indexed.
	hashBlock = 128
	// digitsMax is the longest number of a series; it fits 63 bits.
	digitsMax = 18
)

// splitID splits an _id into a prefix and a decimal number; ok is false where it does
// not end in one that is written in the only possible way.
func splitID(id string) (prefix string, number int64, ok bool) {
	at := len(id)
	for at > 0 && id[at-1] >= '0' && id[at-1] <= '9' {
		at--
	}
	digits := len(id) - at
	if digits == 0 || digits > digitsMax || at == 0 || digits > 1 && id[at] == '0' {
		return "", 0, false
	}
	for i := at; i < len(id); i++ {
		number = number*10 + int64(id[i]-'0')
	}
	return id[:at], number, true
}

// idHash is what the hashed part keeps of an _id.
type idHash [16]byte

func hashID(id string) idHash {
	sum := sha256.Sum256([]byte(id))
	return idHash(sum[:16])
}

// bloomKey is the hash for the filter.
func (h idHash) bloomKey() uint64 { return binary.LittleEndian.Uint64(h[8:]) }
