// Package compat runs the broker against clients and tools from other hands, as
// they are: sarama, franz-go, kcat (librdkafka), kafka-python,
// confluent-kafka-python, and Apache Kafka's own command-line tools. Each test has
// a node of its own, which listens on a free port of the loopback address.
//
// What works with what is told in docs/compatibility.md.
package compat
