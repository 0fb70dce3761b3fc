package broker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

// recordedAt is the time of the records in golden files.
const recordedAt = 1_760_000_000_000

// soundBatch is a batch that is always the same.
func soundBatch(t *testing.T, o batch.Options, values ...string) []byte {
	t.Helper()
	records := make([]batch.Record, len(values))
	for i, v := range values {
		records[i] = batch.Record{Timestamp: recordedAt + int64(i), Key: []byte("k"), Value: []byte(v)}
	}
	raw, err := batch.Build(o, records)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// spoiled is a batch with another byte string at some place, and its checksum made right.
func spoiled(raw []byte, at int, with ...byte) []byte {
	out := bytes.Clone(raw)
	copy(out[at:], with)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// badBatches are batches that no broker takes, and some that are merely odd.
func badBatches(t *testing.T) map[string][]byte {
	sound := soundBatch(t, batch.Options{}, "a", "b", "c")
	zipped := soundBatch(t, batch.Options{Codec: batch.Gzip}, "a", "b", "c")
	broken := bytes.Clone(sound)
	broken[17] ^= 0xff
	const length, magic, attributes, lastOffset, firstTime, maxTime, producer, count, body = 8, 16, 21, 23, 27, 35, 43, 57, 61
	longer, shorter := bytes.Clone(sound), bytes.Clone(sound)
	binary.BigEndian.PutUint32(longer[length:], uint32(len(sound)-12+1))
	binary.BigEndian.PutUint32(shorter[length:], uint32(len(sound)-12-1))
	garbage := spoiled(zipped, body, []byte("this is no gzip")...)
	return map[string][]byte{
		"empty":                         {},
		"shorter than a header":         sound[:40],
		"without its last byte":         sound[:len(sound)-1],
		"with a byte more":              append(bytes.Clone(sound), 0),
		"longer than it is":             longer,
		"shorter than it is":            shorter,
		"of a negative length":          append(bytes.Clone(sound[:length]), append([]byte{0xff, 0xff, 0xff, 0xff}, sound[length+4:]...)...),
		"with a broken checksum":        broken,
		"of magic 0":                    append(bytes.Clone(sound[:magic]), append([]byte{0}, sound[magic+1:]...)...),
		"of magic 1":                    append(bytes.Clone(sound[:magic]), append([]byte{1}, sound[magic+1:]...)...),
		"of magic 3":                    append(bytes.Clone(sound[:magic]), append([]byte{3}, sound[magic+1:]...)...),
		"of magic -1":                   append(bytes.Clone(sound[:magic]), append([]byte{0xff}, sound[magic+1:]...)...),
		"of an unknown codec":           spoiled(sound, attributes, 0, 7),
		"of a codec that it has not":    spoiled(sound, attributes, 0, 1),
		"of zstd that it has not":       spoiled(sound, attributes, 0, 4),
		"compressed garbage":            garbage,
		"compressed":                    zipped,
		"that is a control batch":       spoiled(sound, attributes, 0, 0x20),
		"that is transactional":         spoiled(sound, attributes, 0, 0x10),
		"with the broker's time":        spoiled(sound, attributes, 0, 0x08),
		"of unknown attributes":         spoiled(sound, attributes, 0x80, 0),
		"with fewer records than said":  spoiled(sound, count, 0, 0, 0, 4),
		"with more records than said":   spoiled(sound, count, 0, 0, 0, 2),
		"with no records as it says":    spoiled(sound, count, 0, 0, 0, 0),
		"with a negative count":         spoiled(sound, count, 0xff, 0xff, 0xff, 0xff),
		"with a lower last offset":      spoiled(sound, lastOffset, 0, 0, 0, 1),
		"with a higher last offset":     spoiled(sound, lastOffset, 0, 0, 0, 9),
		"with a negative last offset":   spoiled(sound, lastOffset, 0xff, 0xff, 0xff, 0xff),
		"with an unsound record":        spoiled(sound, body, 0x7f),
		"with a negative first time":    spoiled(sound, firstTime, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"with another largest time":     spoiled(sound, maxTime, 0, 0, 1, 0x99, 0xff, 0xff, 0xff, 0xff),
		"of a producer without epoch":   spoiled(sound, producer, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 0),
		"of a producer out of sequence": spoiled(sound, producer, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0xff, 0xff, 0xff, 0xff),
		"of two batches":                append(bytes.Clone(sound), sound...),
	}
}

func (l *neighbours) produce(t *testing.T) {
	to := func(seen *given, version int16, topic string, parts ...kmsg.ProduceRequestTopicPartition) *kmsg.ProduceRequest {
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 5000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: seen.topics[topic], Partitions: parts}}
		return req
	}
	part := func(partition int32, records []byte) kmsg.ProduceRequestTopicPartition {
		return kmsg.ProduceRequestTopicPartition{Partition: partition, Records: records}
	}
	sound := soundBatch(t, batch.Options{}, "v")
	l.each("produce to good and bad partitions", 3, 13, func(seen *given, version int16) kmsg.Request {
		return to(seen, version, "t", part(0, sound), part(99, sound), part(-1, sound), part(1, sound))
	})
	l.each("produce to good and bad topics", 3, 13, func(seen *given, version int16) kmsg.Request {
		req := to(seen, version, "t", part(0, sound))
		for i, name := range []string{"no-such", "no/such", ""} {
			req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{Topic: name, TopicID: [16]byte{byte(i + 1)}, Partitions: req.Topics[0].Partitions})
		}
		return req
	})
	l.each("produce too large a batch", 3, 13, func(seen *given, version int16) kmsg.Request {
		return to(seen, version, "small", part(0, soundBatch(t, batch.Options{}, string(make([]byte, 100)))))
	}, "ErrorMessage")
	l.each("produce with acks 2", 3, 13, func(seen *given, version int16) kmsg.Request {
		req := to(seen, version, "t", part(0, sound))
		req.Acks = 2
		return req
	})
	l.each("produce zstd", 3, 13, func(seen *given, version int16) kmsg.Request {
		return to(seen, version, "t", part(0, soundBatch(t, batch.Options{Codec: batch.Zstd}, "v")))
	})
	l.each("produce in a transaction that is none", 3, 13, func(seen *given, version int16) kmsg.Request {
		req := to(seen, version, "t", part(0, sound))
		req.TransactionID = new("nobody")
		return req
	})
	bad := badBatches(t)
	for name, records := range inOrder(bad) {
		for _, version := range []int16{3, 8, 13} {
			l.each("produce a batch "+name, version, version, func(seen *given, version int16) kmsg.Request {
				return to(seen, version, "bad", part(0, records))
			}, "ErrorMessage", "BaseOffset")
		}
	}
}

func (l *neighbours) fetch() {
	part := func(partition int32, change func(*kmsg.FetchRequestTopicPartition)) kmsg.FetchRequestTopicPartition {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = partition, 1<<20
		if change != nil {
			change(&p)
		}
		return p
	}
	from := func(seen *given, parts ...kmsg.FetchRequestTopicPartition) *kmsg.FetchRequest {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 10, 1, 1<<20, -1
		req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", TopicID: seen.topics["t"], Partitions: parts}}
		return req
	}
	type p = kmsg.FetchRequestTopicPartition
	l.each("fetch good and bad partitions", 4, 18, func(seen *given, _ int16) kmsg.Request {
		return from(
			seen, part(1, nil), part(99, nil), part(-1, nil), part(0, func(p *p) { p.FetchOffset = 1 << 40 }),
		)
	})
	l.each("fetch before the start", 4, 18, func(seen *given, _ int16) kmsg.Request {
		return from(seen, part(1, func(p *p) { p.FetchOffset = -9 }))
	})
	l.each("fetch of an older epoch", 9, 18, func(seen *given, _ int16) kmsg.Request {
		return from(seen, part(1, func(p *p) { p.CurrentLeaderEpoch = -9 }))
	})
	l.each("fetch of a newer epoch", 9, 18, func(seen *given, _ int16) kmsg.Request {
		return from(seen, part(1, func(p *p) { p.CurrentLeaderEpoch = 9 }), part(99, func(p *p) { p.CurrentLeaderEpoch = 9 }))
	})
	l.each("fetch after an unknown epoch", 12, 18, func(seen *given, _ int16) kmsg.Request {
		return from(seen, part(1, func(p *p) { p.LastFetchedEpoch = 9 }))
	})
	l.each("fetch the same partition twice", 4, 18, func(seen *given, _ int16) kmsg.Request { return from(seen, part(1, nil), part(1, nil)) })
	l.each("fetch no bytes", 4, 18, func(seen *given, _ int16) kmsg.Request {
		req := from(seen, part(1, func(p *p) { p.PartitionMaxBytes = 0 }))
		req.MaxBytes = 0
		return req
	})
	l.each("fetch fewer than no bytes", 4, 18, func(seen *given, _ int16) kmsg.Request {
		req := from(seen, part(1, func(p *p) { p.PartitionMaxBytes = -1 }))
		req.MaxBytes, req.MinBytes = -1, -1
		return req
	})
	l.each("fetch at an unknown isolation", 4, 18, func(seen *given, _ int16) kmsg.Request {
		req := from(seen, part(1, nil))
		req.IsolationLevel = 2
		return req
	})
	l.each("fetch as an unknown replica", 4, 18, func(seen *given, version int16) kmsg.Request {
		req := from(seen, part(1, nil))
		asReplica(req, version, 5)
		return req
	})
	l.each("fetch as a negative replica", 4, 18, func(seen *given, version int16) kmsg.Request {
		req := from(seen, part(1, nil))
		asReplica(req, version, -9)
		return req
	})
	for name, session := range inOrder(map[string][2]int32{"unknown": {5, 5}, "negative": {-5, 1}, "unnamed": {0, 1}, "begun twice": {5, 0}, "ended": {5, -1}, "of a negative epoch": {5, -9}}) {
		l.each("fetch in a session that is "+name, 7, 18, func(seen *given, _ int16) kmsg.Request {
			req := from(seen, part(1, nil))
			req.SessionID, req.SessionEpoch = session[0], session[1]
			return req
		}, "SessionID")
	}
	l.each("fetch good and bad topics", 4, 18, func(seen *given, _ int16) kmsg.Request {
		req := from(seen, part(1, nil))
		for i, name := range []string{"no-such", "no/such", ""} {
			req.Topics = append(req.Topics, kmsg.FetchRequestTopic{Topic: name, TopicID: [16]byte{byte(i + 1)}, Partitions: req.Topics[0].Partitions})
		}
		return req
	})
}

// asReplica says who fetches, in the field that a version has for it.
func asReplica(req *kmsg.FetchRequest, version int16, id int32) {
	if version < 15 {
		req.ReplicaID = id
	} else {
		req.ReplicaState.ID = id
	}
}

func (l *neighbours) listOffsets() {
	ask := func(topic string, parts ...kmsg.ListOffsetsRequestTopicPartition) kmsg.ListOffsetsRequestTopic {
		return kmsg.ListOffsetsRequestTopic{Topic: topic, Partitions: parts}
	}
	part := func(partition int32, at int64, epoch int32) kmsg.ListOffsetsRequestTopicPartition {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, at, epoch
		return p
	}
	build := func(change func(*kmsg.ListOffsetsRequest), topics ...kmsg.ListOffsetsRequestTopic) func(*given, int16) kmsg.Request {
		return always(func() *kmsg.ListOffsetsRequest {
			req := kmsg.NewPtrListOffsetsRequest()
			req.Topics = topics
			if change != nil {
				change(req)
			}
			return req
		})
	}
	l.each("list offsets, good and bad", 1, 10, build(
		nil,
		ask("t", part(1, -1, -1), part(0, -2, -1), part(99, -1, -1), part(-1, -1, -1)), ask("no-such", part(0, -1, -1)), ask("no/such", part(0, -1, -1)), ask(""),
	))
	for _, at := range []int64{-3, -4, -5, -6, -7, -1 << 63, 1<<63 - 1, recordedAt, recordedAt - 1, 0} {
		l.each(fmt.Sprintf("list offsets at %d", at), 1, 10, build(nil, ask("t", part(1, at, -1))))
	}
	l.each("list offsets of other epochs", 4, 10, build(nil, ask("t", part(0, -1, 9), part(1, -1, -9)), ask("no-such", part(0, -1, 9))))
	l.each("list offsets of a partition twice", 1, 10, build(nil, ask("t", part(0, -1, -1), part(0, -2, -1), part(1, -1, -1))))
	l.each("list offsets of a topic twice", 1, 10, build(nil, ask("t", part(0, -1, -1)), ask("t", part(0, -1, -1))))
	l.each("list offsets at an unknown isolation", 2, 10, build(func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 2 }, ask("t", part(0, -1, -1))))
	l.each("list committed offsets", 2, 10, build(func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 1 }, ask("t", part(0, -1, -1))))
	for _, replica := range []int32{-2, -9, 1, 9} {
		l.each(fmt.Sprintf("list offsets as replica %d", replica), 1, 10, build(func(r *kmsg.ListOffsetsRequest) { r.ReplicaID = replica }, ask("t", part(0, -1, -1))))
	}
}

func (l *neighbours) leaderEpochs() {
	part := func(partition, epoch, current int32) kmsg.OffsetForLeaderEpochRequestTopicPartition {
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.CurrentLeaderEpoch = partition, epoch, current
		return p
	}
	l.each("offset for epochs, good and bad", 2, 4, always(func() *kmsg.OffsetForLeaderEpochRequest {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		for _, topic := range []string{"t", "no-such", "no/such", ""} {
			req.Topics = append(req.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{
				part(0, 0, -1), part(1, 0, 0), part(99, 0, -1), part(-1, 0, -1), part(0, 9, -1), part(0, -9, -1), part(0, 0, 9), part(0, 0, -9),
			}})
		}
		return req
	}))
}

func (l *neighbours) deleteRecords() {
	part := func(partition int32, offset int64) kmsg.DeleteRecordsRequestTopicPartition {
		return kmsg.DeleteRecordsRequestTopicPartition{Partition: partition, Offset: offset}
	}
	l.each("delete records, good and bad", 0, 2, always(func() *kmsg.DeleteRecordsRequest {
		return &kmsg.DeleteRecordsRequest{TimeoutMillis: 5000, Topics: []kmsg.DeleteRecordsRequestTopic{
			{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part(0, 1), part(1, 1<<40), part(99, 0), part(-1, 0)}},
			{Topic: "no-such", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part(0, 0)}},
			{Topic: "no/such", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part(0, 0)}},
			{Topic: "small", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part(0, -9)}},
			{Topic: ""},
		}}
	}))
	for _, timeout := range []int32{0, -1} {
		l.each(fmt.Sprintf("delete records within %d", timeout), 0, 2, always(func() *kmsg.DeleteRecordsRequest {
			return &kmsg.DeleteRecordsRequest{TimeoutMillis: timeout, Topics: []kmsg.DeleteRecordsRequestTopic{
				{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{part(0, 1)}},
			}}
		}))
	}
}
