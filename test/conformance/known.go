package conformance

import "cmp"

// knownDifferences gives the reason for each test that passes with Apache Kafka
// and not here, by the first word of its project and its name.
func knownDifferences() map[string]string {
	return map[string]string{}
}

// explanation says why a test does not pass with both.
func explanation(key string) string {
	return cmp.Or(knownDifferences()[key], otherReasons()[key])
}

// otherReasons says why tests fail or are left out with Apache Kafka, by the first
// word of their project and their name.
func otherReasons() map[string]string {
	return map[string]string{
		"compat TestOurClientsReachApacheKafkaOverTLSAndSASL": "this product's own clients with Apache Kafka: the test starts one itself",
		"compat TestFranzGroup":                               "not run with Apache Kafka yet",
		"compat TestGroupMigration":                           "not run with Apache Kafka yet",
		"compat TestServerProperties":                         "how this product's binary is started with Kafka's server.properties",

		"librdkafka 0055": "a measurement: its table of times says FAILED when there is nothing to measure",
		"librdkafka 0077": "makes a topic with a segment.bytes of 10000, which kafka-topics of 4.1 refuses before it asks a broker",
		"librdkafka 0103": "makes topics of three replicas: one node cannot",
		"librdkafka 0129": "makes a topic with a segment.bytes of 20000: Apache Kafka 4 wants 1 MiB at least, here 1024 is enough",

		"segmentio/kafka-go TestClientElectLeaders":            "asks Apache Kafka before its controller is ready",
		"segmentio/kafka-go TestClientFindCoordinator":         "wants the broker to be called localhost",
		"segmentio/kafka-go TestConn":                          "wants the broker to be called localhost",
		"segmentio/kafka-go TestDialerResolver":                "wants port 9092",
		"segmentio/kafka-go TestNetworkAddress":                "wants port 9092",
		"segmentio/kafka-go TestOffsetFetchRequestWithNoTopic": "wants more than Apache Kafka gives it in its time",
		"segmentio/kafka-go TestReaderConsumerGroup":           "one of its helpers was never told how to connect",
		"segmentio/kafka-go TestReaderReadCompactedMessage":    "makes a topic with a config that Apache Kafka 4 no longer has",
		"segmentio/kafka-go TestRebalanceTooManyConsumers":     "has a limit of time",
		"segmentio/kafka-go TestUnsupportedSASLMechanism":      "wants a listener with SASL at port 9093",
		"segmentio/kafka-go TestWriter":                        "wants a listener with SASL at port 9093",
	}
}
