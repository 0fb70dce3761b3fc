// Package kafkaproperties reads Apache Kafka's own configuration file,
// server.properties, as a configuration of the broker node.
//
// [Parse] reads the syntax of java.util.Properties. [File.Broker] gives the keys
// that have a meaning here to a [configs.Broker] and names the others. What cannot
// be, or contradicts itself, is an error with the line it is in.
//
// Source: Apache Kafka 4.1, KafkaConfig and java.util.Properties.load.
package kafkaproperties

//go:generate go test . -run TestTheTableInTheManualIsCurrent -rewrite
