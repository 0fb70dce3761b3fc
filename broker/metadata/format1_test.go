package metadata

import "encoding/binary"

func encodeFrame(index int64, payload []byte) []byte {
	b := make([]byte, frameHeaderBytes, frameHeaderBytes+len(payload))
	copy(b, frameMagic)
	binary.BigEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.BigEndian.PutUint64(b[12:], uint64(index))
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[8:], checksum(b[12:]))
	return b
}
