package core

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/zeebo/xxh3"
)

// topicHashVersion is the first byte of what a topic's hash is made of.
const topicHashVersion = 0

// hashTopics returns the hash of the topics that exist, by their names in order;
// 0 without topics. It changes with a topic's id, its number of partitions and
// the racks of their replicas, and is what Apache Kafka 4.1 computes and
// stores (KIP-1101): XXH3 over what hash4j makes of the values.
func hashTopics(names []string, image Image) int64 {
	var all []byte
	for _, name := range names {
		if t, ok := image.Topic(name); ok {
			all = binary.LittleEndian.AppendUint64(all, hashTopic(name, t))
		}
	}
	if len(all) == 0 {
		return 0
	}
	return int64(xxh3.Hash(all))
}

func hashTopic(name string, t Topic) uint64 {
	b := make([]byte, 0, 64+4*int(t.Partitions))
	b = append(b, topicHashVersion)
	// The id goes in as two numbers, little-endian.
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(t.ID[:8]))
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(t.ID[8:]))
	b = appendHashString(b, name)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Partitions))
	for p := range t.Partitions {
		b = binary.LittleEndian.AppendUint32(b, uint32(p))
		if int(p) >= len(t.Racks) {
			continue
		}
		for _, rack := range t.Racks[p] {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(utf16.Encode([]rune(rack)))))
			b = appendHashString(b, rack)
		}
	}
	return xxh3.Hash(b)
}

// appendHashString appends a string as hash4j does: its UTF-16 units and their number.
func appendHashString(b []byte, s string) []byte {
	units := utf16.Encode([]rune(s))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(len(units)))
}
