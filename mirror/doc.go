// Package mirror copies topics from one cluster that speaks Kafka's protocol
// to another, record by record: the same topic names, partition numbers, keys,
// values, headers and timestamps, in the same order in each partition.
//
// Several processes share the work as members of one consumer group on the source.
// A partition belongs to one of them, which reads a batch, writes it with
// acks=all to the partition of the same number, waits for the answer, and only then
// marks its progress in the group. What is not acknowledged is sent again for
// ever, with growing pauses.
//
// Failure model: at least once. Within a session a batch that is sent again has
// the same producer id and sequence, so the target stores it once; after a crash
// the records since the last commit (a second of work) are written again. Order is
// kept: a batch is sent when the one before it is acknowledged.
//
// Topics that are missing on the target are created with the partition count and
// the settings of the source, those that have fewer partitions grow. New source
// topics and partitions are found every refresh_interval.
//
// A mirror of a cluster to itself is refused by the clusters' ids. Two mirrors that
// carry the same topic in opposite directions would copy each record for ever:
// a mirror's members are known on its source by their client id, which names the
// target, and a mirror that finds one that leads back ends with [ErrLoop].
package mirror
