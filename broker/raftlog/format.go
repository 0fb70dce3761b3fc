package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
)

// A frame of a log or a snapshot:
//
//	magic    4 bytes  "MRL1" in a log, "MRS1" for a snapshot
//	length   uint32   of the payload
//	crc      uint32   CRC-32C of the payload
//	payload
//
// The payload in a log is what one call of Save has made durable:
//
//	term, vote, commit  uint64
//	entries             each: index, term uint64, type uint8, length uint32, data
//
// The payload of a snapshot, which is the only frame of its file:
//
//	index, term  uint64
//	length       uint32, of the members
//	members      ConfState in protobuf
//	data
//
// Integers are big-endian.
const (
	logMagic         = "MRL1"
	snapshotMagic    = "MRS1"
	frameHeaderBytes = 12
	hardStateBytes   = 24
	entryHeaderBytes = 21
	snapshotMinBytes = 20
	payloadMinBytes  = min(hardStateBytes, snapshotMinBytes)
	// frameBytesMax bounds what a length field may claim.
	frameBytesMax = math.MaxInt32
)

const (
	logSuffix      = ".log"
	snapshotSuffix = ".snapshot"
	tempSuffix     = ".tmp"
	namePrefix     = "raft-"
)

// CorruptionError says where a log is damaged.
type CorruptionError struct {
	// File is the damaged file, Position the byte position of the frame.
	File     string
	Position int64
	// Reason says what does not fit.
	Reason string
}

// Error formats file, position and reason in one line.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.File, e.Position, e.Reason)
}

// hardState is what a node must not forget, and how far it knows the log to be committed.
type hardState struct{ term, vote, commit uint64 }

func (h hardState) proto() *raftpb.HardState {
	return &raftpb.HardState{Term: new(h.term), Vote: new(h.vote), Commit: new(h.commit)}
}

func newFrame(magic string, payloadBytes int) []byte {
	return append(make([]byte, 0, frameHeaderBytes+payloadBytes), magic+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

var errFrameTooLarge = errors.New("more than a frame may hold")

// sealFrame fills in length and checksum.
func sealFrame(frame []byte) ([]byte, error) {
	payload := frame[frameHeaderBytes:]
	if len(payload) > frameBytesMax {
		return nil, fmt.Errorf("%w: %d bytes", errFrameTooLarge, len(payload))
	}
	binary.BigEndian.PutUint32(frame[4:], uint32(len(payload)))
	binary.BigEndian.PutUint32(frame[8:], checksum(payload))
	return frame, nil
}

func checksum(payload []byte) uint32 {
	return crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))
}

func encodeFrame(h hardState, entries []*raftpb.Entry) ([]byte, error) {
	size := hardStateBytes
	for _, e := range entries {
		size += entryHeaderBytes + len(e.GetData())
	}
	b := newFrame(logMagic, size)
	b = binary.BigEndian.AppendUint64(b, h.term)
	b = binary.BigEndian.AppendUint64(b, h.vote)
	b = binary.BigEndian.AppendUint64(b, h.commit)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint64(b, e.GetIndex())
		b = binary.BigEndian.AppendUint64(b, e.GetTerm())
		b = append(b, byte(e.GetType()))
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.GetData())))
		b = append(b, e.GetData()...)
	}
	return sealFrame(b)
}

// openFrame returns the payload of the frame at the start of b, and its length with
// the header; 0 means that there is no intact frame.
func openFrame(magic string, b []byte) (payload []byte, n int) {
	if len(b) < frameHeaderBytes || string(b[:4]) != magic {
		return nil, 0
	}
	size := int64(binary.BigEndian.Uint32(b[4:]))
	// The checksum of nothing is 0: without a lower bound, zeros where a crash has left a
	// hole would be a frame.
	if size < payloadMinBytes || size > frameBytesMax || frameHeaderBytes+size > int64(len(b)) {
		return nil, 0
	}
	n = frameHeaderBytes + int(size)
	payload = b[frameHeaderBytes:n]
	if checksum(payload) != binary.BigEndian.Uint32(b[8:]) {
		return nil, 0
	}
	return payload, n
}

var errPayload = errors.New("the content of the frame does not fit its length")

// decodePayload reads what encodeFrame writes. The data of the entries is part of b.
func decodePayload(b []byte) (hardState, []*raftpb.Entry, error) {
	if len(b) < hardStateBytes {
		return hardState{}, nil, errPayload
	}
	h := hardState{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	var entries []*raftpb.Entry
	for b = b[hardStateBytes:]; len(b) > 0; {
		if len(b) < entryHeaderBytes {
			return h, nil, errPayload
		}
		kind := raftpb.EntryType(b[16])
		if kind > raftpb.EntryConfChangeV2 {
			return h, nil, fmt.Errorf("an entry has the type %d, which is not known", kind)
		}
		e := &raftpb.Entry{Index: new(binary.BigEndian.Uint64(b)), Term: new(binary.BigEndian.Uint64(b[8:])), Type: kind.Enum()}
		size := int64(binary.BigEndian.Uint32(b[17:]))
		if b = b[entryHeaderBytes:]; size > int64(len(b)) {
			return h, nil, errPayload
		}
		if size > 0 {
			e.Data = b[:size:size]
		}
		b = b[size:]
		entries = append(entries, e)
	}
	return h, entries, nil
}

// intactAfter reports whether b holds an intact frame at any later position: then
// what comes before it is damage, not the torn end of the last write.
func intactAfter(b []byte) bool {
	for len(b) > 0 {
		at := bytes.Index(b[1:], []byte(logMagic))
		if at < 0 {
			return false
		}
		b = b[1+at:]
		if _, n := openFrame(logMagic, b); n > 0 {
			return true
		}
	}
	return false
}

func fileName(index uint64, suffix string) string {
	return fmt.Sprintf("%s%020d%s", namePrefix, index, suffix)
}

// parseFileName reads what fileName writes.
func parseFileName(name, suffix string) (index uint64, ok bool) {
	s, ok := strings.CutPrefix(name, namePrefix)
	if !ok {
		return 0, false
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok || len(s) != 20 {
		return 0, false
	}
	index, err := strconv.ParseUint(s, 10, 63)
	return index, err == nil
}
