package registry

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/millrace/millrace/agent/batch"
)

// The journal file. All integers of the frame are big-endian.
//
//	header  = magic "MLRJRNL" version:u8
//	entry   = length:u32 crc:u32 payload     crc = CRC-32C of the payload
//	payload = kind:u8 fields                 uvarint, varint and length-prefixed strings
//
// A newer version is refused; an unknown kind within a known version is corruption.
const (
	magic        = "MLRJRNL"
	version      = 1
	headerLen    = len(magic) + 1
	frameLen     = 8
	entryLenMax  = 64 << 20
	kindMeta     = 1
	kindInput    = 2
	kindSettings = 3
	kindFile     = 4
	kindForget   = 5
	kindLane     = 6
	kindPlan     = 7
	kindAck      = 8
	kindEnd      = 9 // ends the snapshot
)

var (
	errTorn      = errors.New("entry is torn or damaged")
	errTruncated = errors.New("entry ends early")
)

// appendEntry frames the payload that fill appends.
func appendEntry(dst []byte, fill func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, frameLen)...)
	dst = fill(dst)
	payload := dst[at+frameLen:]
	binary.BigEndian.PutUint32(dst[at:], uint32(len(payload)))
	binary.BigEndian.PutUint32(dst[at+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// nextEntry returns the payload of the first entry of b and its whole length.
func nextEntry(b []byte) (payload []byte, n int, err error) {
	if len(b) < frameLen {
		return nil, 0, errTorn
	}
	size := binary.BigEndian.Uint32(b)
	if size == 0 || size > entryLenMax || int(size) > len(b)-frameLen {
		return nil, 0, errTorn
	}
	payload = b[frameLen : frameLen+int(size)]
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return nil, 0, errTorn
	}
	return payload, frameLen + int(size), nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func encodeMeta(b []byte, m *Meta) []byte {
	b = append(b, kindMeta)
	b = appendString(b, m.Agent)
	b = appendString(b, m.Machine)
	b = binary.AppendUvarint(b, m.NextFile)
	b = binary.AppendUvarint(b, m.NextPlan)
	return binary.AppendUvarint(b, uint64(m.NextSettings))
}

func encodeFile(b []byte, f *File) []byte {
	b = append(b, kindFile)
	b = binary.AppendUvarint(b, f.Number)
	for _, s := range []string{f.ID, f.Path, f.Current, f.Topic, f.Input} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, f.Device)
	b = binary.AppendUvarint(b, f.Inode)
	for _, v := range []int64{f.BirthNs, f.Base, int64(f.HeadLen), f.Planned, f.Acked, int64(f.Partition), f.MintedMs} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, f.HeadSum)
	b = append(b, f.TailLen)
	b = binary.BigEndian.AppendUint32(b, f.TailSum)
	return append(b, flagBits(f.Copy, f.Moved, f.Ignored, f.Forked))
}

func flagBits(flags ...bool) byte {
	var bits byte
	for i, set := range flags {
		if set {
			bits |= 1 << i
		}
	}
	return bits
}

func encodePlan(b []byte, p *batch.Plan) []byte {
	b = binary.AppendUvarint(b, p.ID)
	b = binary.AppendVarint(b, int64(p.FirstSequence))
	b = binary.AppendVarint(b, int64(p.Records))
	b = binary.AppendVarint(b, p.CreatedMs)
	b = binary.AppendUvarint(b, uint64(len(p.Segments)))
	for i := range p.Segments {
		s := &p.Segments[i]
		b = binary.AppendUvarint(b, s.File)
		b = binary.AppendUvarint(b, uint64(s.Settings))
		for _, v := range []int64{s.Start, s.End, int64(s.Records), s.TimeMs, int64(s.ValueMax)} {
			b = binary.AppendVarint(b, v)
		}
		b = appendBool(b, s.Moved)
		b = binary.BigEndian.AppendUint32(b, s.Sum)
		b = append(b, s.TailLen)
		b = binary.BigEndian.AppendUint32(b, s.TailSum)
	}
	return b
}

func encodeKey(b []byte, k LaneKey) []byte {
	return binary.AppendVarint(appendString(b, k.Topic), int64(k.Partition))
}

func encodeLane(b []byte, l *Lane) []byte {
	b = encodeKey(append(b, kindLane), l.LaneKey)
	b = appendString(b, l.Cluster)
	b = append(b, l.TopicID[:]...)
	b = binary.AppendVarint(b, l.ProducerID)
	b = binary.AppendVarint(b, int64(l.Epoch))
	b = binary.AppendVarint(b, int64(l.NextSequence))
	b = binary.AppendUvarint(b, uint64(len(l.Plans)))
	for i := range l.Plans {
		b = encodePlan(b, &l.Plans[i])
	}
	return b
}

// decoder reads the fields of a payload; the first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.err = errTruncated
		return make([]byte, min(max(n, 0), 16))
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.err = errTruncated
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.err = errTruncated
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.err = errTruncated
		return 0
	}
	return int32(v)
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.err = errTruncated
		return ""
	}
	return string(d.take(int(n)))
}

func (d *decoder) bool() bool     { return d.take(1)[0] != 0 }
func (d *decoder) byte() uint8    { return d.take(1)[0] }
func (d *decoder) uint32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) uint64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *decoder) file() *File {
	f := &File{Number: d.uvarint()}
	for _, s := range []*string{&f.ID, &f.Path, &f.Current, &f.Topic, &f.Input} {
		*s = d.string()
	}
	f.Device, f.Inode = d.uvarint(), d.uvarint()
	f.BirthNs, f.Base, f.HeadLen = d.varint(), d.varint(), d.int32()
	f.Planned, f.Acked, f.Partition, f.MintedMs = d.varint(), d.varint(), d.int32(), d.varint()
	f.HeadSum, f.TailLen, f.TailSum = d.uint64(), d.byte(), d.uint32()
	bits := d.byte()
	f.Copy, f.Moved, f.Ignored, f.Forked = bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
	return f
}

func (d *decoder) plan() batch.Plan {
	p := batch.Plan{ID: d.uvarint(), FirstSequence: d.int32(), Records: d.int32(), CreatedMs: d.varint()}
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.err = errTruncated
		return p
	}
	p.Segments = make([]batch.Segment, n)
	for i := range p.Segments {
		s := &p.Segments[i]
		s.File, s.Settings = d.uvarint(), uint32(d.uvarint())
		s.Start, s.End, s.Records, s.TimeMs, s.ValueMax = d.varint(), d.varint(), d.int32(), d.varint(), d.int32()
		s.Moved, s.Sum, s.TailLen, s.TailSum = d.bool(), d.uint32(), d.byte(), d.uint32()
	}
	return p
}

func (d *decoder) key() LaneKey {
	return LaneKey{Topic: d.string(), Partition: d.int32()}
}

func (d *decoder) lane() *Lane {
	l := &Lane{LaneKey: d.key(), Cluster: d.string()}
	copy(l.TopicID[:], d.take(16))
	l.ProducerID, l.Epoch, l.NextSequence = d.varint(), int16(d.int32()), d.int32()
	n := d.uvarint()
	for i := uint64(0); i < n && d.err == nil; i++ {
		l.Plans = append(l.Plans, d.plan())
	}
	return l
}

// apply plays one payload into s. ended reports the end of the snapshot.
func (s *state) apply(payload []byte) (ended bool, err error) {
	d := &decoder{b: payload[1:]}
	switch payload[0] {
	case kindMeta:
		m := Meta{Agent: d.string(), Machine: d.string(), NextFile: d.uvarint(), NextPlan: d.uvarint()}
		m.NextSettings = uint32(d.uvarint())
		s.meta = m
	case kindInput:
		name := d.string()
		s.inputs[name] = d.varint()
	case kindSettings:
		n := uint32(d.uvarint())
		s.settings[n] = d.string()
		s.meta.NextSettings = max(s.meta.NextSettings, n+1)
	case kindFile:
		f := d.file()
		s.files[f.Number] = f
		s.meta.NextFile = max(s.meta.NextFile, f.Number+1)
	case kindForget:
		delete(s.files, d.uvarint())
	case kindLane:
		l := d.lane()
		s.lanes[l.LaneKey] = l
		for _, p := range l.Plans {
			s.meta.NextPlan = max(s.meta.NextPlan, p.ID+1)
		}
	case kindPlan:
		key := d.key()
		p := d.plan()
		s.addPlan(key, &p)
	case kindAck:
		s.ackPlan(d.key(), d.uvarint())
	case kindEnd:
		return true, nil
	default:
		return false, errTorn
	}
	return false, d.err
}

// encode appends the whole state, ended by an end entry.
func (s *state) encode(b []byte) []byte {
	b = appendEntry(b, func(b []byte) []byte { return encodeMeta(b, &s.meta) })
	for name, ms := range s.inputs {
		b = appendEntry(b, func(b []byte) []byte { return encodeInput(b, name, ms) })
	}
	for n, text := range s.settings {
		b = appendEntry(b, func(b []byte) []byte { return encodeSettings(b, n, text) })
	}
	for _, f := range s.files {
		b = appendEntry(b, func(b []byte) []byte { return encodeFile(b, f) })
	}
	for _, l := range s.lanes {
		b = appendEntry(b, func(b []byte) []byte { return encodeLane(b, l) })
	}
	return appendEntry(b, func(b []byte) []byte { return append(b, kindEnd) })
}

func encodeInput(b []byte, name string, seenMs int64) []byte {
	return binary.AppendVarint(appendString(append(b, kindInput), name), seenMs)
}

func encodeSettings(b []byte, n uint32, text string) []byte {
	return appendString(binary.AppendUvarint(append(b, kindSettings), uint64(n)), text)
}
