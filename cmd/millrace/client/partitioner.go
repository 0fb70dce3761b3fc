package client

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/IBM/sarama"
)

// stickyRecords is the number of records without a key that go to one
// partition before another one is chosen.
const stickyRecords = 1000

// javaPartitioner sends a record with a key to the partition that Apache
// Kafka's own producer chooses (murmur2), so that records of one key stay together
// whoever writes them. Those without a key stay on one partition for a while,
// which makes larger batches (KIP-480).
type javaPartitioner struct {
	partition int32
	left      int
}

func newJavaPartitioner(string) sarama.Partitioner { return &javaPartitioner{} }

// Partition chooses the partition of a record.
func (p *javaPartitioner) Partition(m *sarama.ProducerMessage, n int32) (int32, error) {
	if m.Key == nil {
		if p.left == 0 || p.partition >= n {
			p.partition, p.left = rand.Int32N(n), stickyRecords
		}
		p.left--
		return p.partition, nil
	}
	key, err := m.Key.Encode()
	if err != nil {
		return 0, err
	}
	return int32(murmur2(key)&0x7fffffff) % n, nil
}

// RequiresConsistency says that a key's partition must not depend on which
// partitions can be written at the moment.
func (p *javaPartitioner) RequiresConsistency() bool { return true }

// murmur2 is org.apache.kafka.common.utils.Utils.murmur2.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>r) * m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
