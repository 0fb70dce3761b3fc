package storage

import (
	"encoding/binary"
	"hash/fnv"
	"math"
)

// rollAfterMs is the age at which a segment is rolled: segment.ms less the
// segment's share of segment.jitter.ms, and on compacted topics not more than
// max.compaction.lag.ms, because only what is no longer written is compacted.
func (c *LogConfig) rollAfterMs(seg *segment) int64 {
	age := c.SegmentMs
	if c.CleanupPolicy&CleanupCompact != 0 {
		age = min(age, c.MaxCompactionLagMs)
	}
	if c.SegmentJitterMs == 0 {
		return age
	}
	return age - int64(seg.jitter()*float64(min(c.SegmentJitterMs, age)))
}

// jitter is a number from 0 to 1 that is random among segments and stays the
// same for each, also after a restart.
func (s *segment) jitter() float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.dir)) // never fails
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(s.base)))
	return float64(mix(h.Sum64())) / math.MaxUint64
}

// mix spreads the bits of a hash (the end of SplitMix64).
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
