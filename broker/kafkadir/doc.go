// Package kafkadir reads and writes the data directory of an Apache Kafka node
// in KRaft mode, so that a node can be moved to Millrace and back.
//
// [OpenSource] looks at one or several log directories without changing them:
// meta.properties, the metadata log (snapshot and records, see [Image]), the
// partitions with their files as Kafka's own recovery would leave them.
// [Write] makes the metadata directory of which an Apache Kafka node starts.
//
// Nothing that lies in these files panics; lengths are checked against what is
// there before memory is taken. A metadata record that this version does not
// know refuses the whole directory: skipping it could bring deleted things back.
//
// The package has no state beyond its values. Sources: Apache Kafka 4.1,
// metadata/src/main/resources/common/metadata, KIP-630 (snapshots), KIP-631 (KRaft),
// KIP-853 (voters), KIP-866 and KIP-868 (metadata transactions), KIP-858 (directory ids).
package kafkadir
