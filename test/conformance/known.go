package conformance

import "cmp"

// knownDifferences gives the reason for each test that passes with Apache Kafka
// and not here, by the first word of its project and its name.
// A part of a test stands under the test's name and its own.
func knownDifferences() map[string]string {
	return map[string]string{
		"segmentio/kafka-go TestConn":                                          autoCreation,
		"segmentio/kafka-go TestConn/test_delete_topics":                       autoCreation,
		"segmentio/kafka-go TestConn/test_delete_topics_with_an_invalid_topic": autoCreation,
	}
}

// autoCreation is why topics that were deleted are there again.
const autoCreation = "asks for the metadata of topics that it has just deleted, with leave to create them: with Apache Kafka they are there a moment after its answer, here with it"

// madeTooLate is the other side of it.
const madeTooLate = "subscribes to a topic that its question creates: with Apache Kafka that comes after the answer, often too late for the 10 s that it has"

// explanation says why a test does not pass with both.
func explanation(key string) string {
	return cmp.Or(knownDifferences()[key], otherReasons()[key])
}

// otherReasons says why tests fail or are left out with Apache Kafka, by the first
// word of their project and their name.
func otherReasons() map[string]string {
	return map[string]string{
		"compat TestOurClientsReachApacheKafkaOverTLSAndSASL": "this product's own clients with Apache Kafka: the test starts one itself",
		"compat TestMirrorMakerWithApacheKafka":               "between this product's broker and Apache Kafka: TestMirrorMaker mirrors from one Apache Kafka to another",
		"compat TestServerProperties":                         "how this product's binary is started with Kafka's server.properties",

		"librdkafka 0077": "makes a topic with a segment.bytes of 10000, which kafka-topics of 4.1 refuses before it asks a broker",
		"librdkafka 0103": "makes topics of three replicas: one node cannot",
		"librdkafka 0129": "makes a topic with a segment.bytes of 20000: Apache Kafka 4 wants 1 MiB at least, as this broker does",

		"segmentio/kafka-go TestClientElectLeaders":                 "gives the election 0 ms: Apache Kafka answers REQUEST_TIMED_OUT, here there is nothing to wait for",
		"segmentio/kafka-go TestConsumerGroupWithGroupTopicsSingle": madeTooLate,
		"segmentio/kafka-go TestReaderConsumerGroup":                "has 24 records in three partitions read by two members, of whom each is to get 12: one of them owns one partition of 8",
		"segmentio/kafka-go TestRebalanceTooManyConsumers":          madeTooLate,
		"segmentio/kafka-go TestReaderReadCompactedMessage":         "makes a topic with a segment.bytes of 200, which both refuse",
	}
}
