// Package pipelines reads records from Kafka topics, turns them into documents
// and writes them to Elasticsearch or the embedded search node.
//
// Each pipeline of the configuration is one consumer group,
// millrace-pipeline-<name>; the built-in default pipeline is another, over the
// topics that match its patterns and that no pipeline names. Any number of
// processes may run the same configuration: the groups share the partitions.
//
// # From record to document
//
// A partition is read in order by one goroutine, which decodes the record,
// runs the processors (internal/event) and adds the document to the pipeline's
// current bulk request. A bulk request holds documents of all partitions; it is
// sent when it is large enough or old enough. A fixed number of requests exists
// per pipeline, so that memory is bounded: when all are under way, reading stops.
//
// # Exactly once
//
// A document's _id is that of its line (file and offset, or the record's place),
// its index is a pure function of the record, and it is written with op_type
// create: a record that is read twice is written once. A partition's offset
// moves only past records whose documents, and all before them, are
// acknowledged, or are in the dead-letter topic, or were dropped by a processor
// ([progress]). So a kill at any moment repeats work and loses nothing.
//
// # Failure model
//
// A cluster or a search node that is away is waited for, with backoff, and said
// once. A document that is refused for its content is written with message,
// metadata and reason only; one that is refused even then goes to the topic
// millrace.dead-letter with its record and the reason. Nothing in a record can
// stop a pipeline.
package pipelines
