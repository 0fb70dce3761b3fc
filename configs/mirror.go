package configs

// Mirror copies topics from a source cluster to a target cluster.
type Mirror struct {
	// Source is the cluster that is read.
	Source Kafka `yaml:"source"`
	// Target is the cluster that is written.
	Target Kafka `yaml:"target"`
	// Topics are regular expressions of the topics to copy.
	Topics []string `yaml:"topics"`
	// Exclude are regular expressions of topics to leave out.
	Exclude []string `yaml:"exclude"`
	// Group is the consumer group on the source that holds the progress.
	Group string `yaml:"group"`
	// RefreshInterval is the time between two looks for new topics and partitions.
	RefreshInterval Duration `yaml:"refresh_interval"`
}
