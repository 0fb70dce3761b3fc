// Package conformance runs the test suites of other projects, as they are,
// against this product's broker and against Apache Kafka, and compares what passes.
//
// "make conformance" runs all of them against both (about an hour) and writes what
// it found into docs/compatibility.md. "go test" runs a few of each suite against
// this product's broker only. A test that passes with Apache Kafka and not here
// fails the run, unless [knownDifferences] gives the reason.
package conformance
