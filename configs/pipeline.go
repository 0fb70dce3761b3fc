package configs

import "gopkg.in/yaml.v3"

// Pipeline is a consumer group that parses the records of some topics,
// evaluates alert rules over them and writes them to an output.
type Pipeline struct {
	// Name of the pipeline: part of the consumer group's name and of the index.
	Name string `yaml:"name"`
	// Input are the topics to read.
	Input PipelineInput `yaml:"input"`
	// Process are the processors, applied in order.
	Process []Processor `yaml:"process"`
	// Alerts are rules over the processed events.
	Alerts []AlertRule `yaml:"alerts"`
	// Output is where processed events are written.
	Output Output `yaml:"output"`
}

// PipelineInput names the topics of a pipeline.
type PipelineInput struct {
	// Topics by name; one that begins with ^ is a regular expression.
	Topics []string `yaml:"topics"`
	// StartAt is beginning or end: where a new consumer group starts.
	StartAt string `yaml:"start_at" oneof:"beginning end"`
}

// Processor is one step of a pipeline: a mapping with exactly one key, the
// processor's name, over its settings. internal/event builds it; this model
// keeps the YAML node so that errors can name line and column.
type Processor struct {
	// Name is the processor's kind: json, logfmt, grok, dissect, regex,
	// timestamp, convert, rename, set, remove or drop.
	Name string
	// Settings is the YAML under the name.
	Settings yaml.Node
	// File is the configuration file that holds the processor, for errors.
	File string
}

const processorShape = "a processor is a mapping with one key, for instance \"grok: {field: message, pattern: '%{COMBINEDAPACHELOG}'}\""

// UnmarshalYAML reads the one-key mapping.
func (p *Processor) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 {
		return &FieldError{Line: node.Line, Column: node.Column, Msg: processorShape}
	}
	p.Name, p.Settings = node.Content[0].Value, *node.Content[1]
	return nil
}

// Output is where a pipeline writes its documents. With none of its parts
// given nothing is written.
type Output struct {
	// Elasticsearch indexes documents in the configured Elasticsearch or the
	// embedded search node.
	Elasticsearch *ElasticsearchOutput `yaml:"elasticsearch"`
}

// ElasticsearchOutput says how a pipeline indexes.
type ElasticsearchOutput struct {
	// Index is the prefix of the index names; the event's day is appended.
	// Empty means millrace-<pipeline>.
	Index string `yaml:"index"`
	// BulkSize bounds the bytes of one bulk request.
	BulkSize Size `yaml:"bulk_size" min:"1KiB"`
	// BulkCount bounds the documents of one bulk request.
	BulkCount int `yaml:"bulk_count" min:"1"`
	// BulkInterval is the longest time that a document waits for others.
	BulkInterval Duration `yaml:"bulk_interval" min:"1ms"`
}

// DefaultPipeline is applied to topics that no pipeline names, into
// millrace-logs-<event day>.
type DefaultPipeline struct {
	// Enabled turns it on.
	Enabled bool `yaml:"enabled"`
	// Topics are regular expressions; topics of Millrace itself and those that
	// begin with two underscores are always left out.
	Topics []string `yaml:"topics"`
}
