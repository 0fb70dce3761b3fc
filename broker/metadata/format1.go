package metadata

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// What a data directory of format 1 holds is read once, when it is taken over (takeover.go): at most
// one snapshot, metadata-<index>.snapshot, and the commits after it, metadata-<index>.log, both
// made of frames. A frame is one commit:
//
//	magic    4 bytes  "MRM1"
//	length   uint32   of the payload
//	crc      uint32   CRC-32C of index and payload
//	index    int64    of the commit, one more than the one before
//	payload           records, in JSON
//
// Integers are big-endian. A log holds frames; a snapshot holds one.
const (
	frameMagic       = "MRM1"
	frameHeaderBytes = 20
	// payloadBytesMax bounds what a length field may claim.
	payloadBytesMax = 1 << 30
)

const (
	logSuffix      = ".log"
	snapshotSuffix = ".snapshot"
	namePrefix     = "metadata-"
)

func checksum(indexAndPayload []byte) uint32 {
	return crc32.Checksum(indexAndPayload, crc32.MakeTable(crc32.Castagnoli))
}

// decodeFrame reads the frame at the start of b. n is its length in bytes; 0
// means that there is no intact frame.
func decodeFrame(b []byte) (index int64, payload []byte, n int) {
	if len(b) < frameHeaderBytes || string(b[:4]) != frameMagic {
		return 0, nil, 0
	}
	size := int64(binary.BigEndian.Uint32(b[4:]))
	if size > payloadBytesMax || frameHeaderBytes+size > int64(len(b)) {
		return 0, nil, 0
	}
	n = frameHeaderBytes + int(size)
	if checksum(b[12:n]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, nil, 0
	}
	return int64(binary.BigEndian.Uint64(b[12:])), b[frameHeaderBytes:n], n
}

// intactAfter reports whether b holds an intact frame at any later position: then
// what comes before it is damage, not the torn end of the last write.
func intactAfter(b []byte, index int64) bool {
	for len(b) > 0 {
		at := bytes.Index(b[1:], []byte(frameMagic))
		if at < 0 {
			return false
		}
		b = b[1+at:]
		if i, _, n := decodeFrame(b); n > 0 && i > index {
			return true
		}
	}
	return false
}

// format1Name is the name of a file of format 1.
func format1Name(index int64, suffix string) string {
	return fmt.Sprintf("%s%020d%s", namePrefix, index, suffix)
}

// parseFormat1Name reads what format1Name writes.
func parseFormat1Name(name, suffix string) (index int64, ok bool) {
	s, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok || len(s) != 20 {
		return 0, false
	}
	index, err := strconv.ParseInt(s, 10, 64)
	return index, err == nil && index >= 0
}
