package compat

import (
	"testing"

	"github.com/millrace/millrace/test/peers"
)

// TestKafkaPython runs testdata/kafka_python_test.py, a client written in Python alone.
func TestKafkaPython(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "kafka-python", "confluent-kafka")
	n := startNode(t)
	contains(t, "kafka-python", runProgram(t, "", python, "testdata/kafka_python_test.py", n.addr), "all is well")
}

// TestConfluentKafkaPython runs testdata/confluent_kafka_test.py, with a newer librdkafka than kcat's.
func TestConfluentKafkaPython(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "kafka-python", "confluent-kafka")
	n := startNode(t)
	contains(t, "confluent-kafka", runProgram(t, "", python, "testdata/confluent_kafka_test.py", n.addr), "all is well")
}

// TestAIOKafka runs testdata/aiokafka_test.py, a client for Python's asyncio with a protocol of its own making.
func TestAIOKafka(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "aiokafka==0.14.0", "cramjam==2.14.0")
	n := startNode(t)
	contains(t, "aiokafka", runProgram(t, "", python, "testdata/aiokafka_test.py", n.addr), "all is well")
}
