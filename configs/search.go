package configs

// Search is the embedded search node. Its data lives in <data_dir>/search.
type Search struct {
	// Listen is the host:port of the Elasticsearch-compatible HTTP API; port 0
	// takes a free one.
	Listen string `yaml:"listen"`
	// RetentionTime is the age at which an index is deleted, measured from
	// its newest event or its latest write, whichever is later; 0 keeps it for ever.
	RetentionTime Duration `yaml:"retention_time"`
	// RetentionSize bounds the bytes of all indices; the oldest are deleted
	// first, and of the last one its oldest documents. 0 has no limit.
	RetentionSize Size `yaml:"retention_size"`
	// RefreshInterval is the longest time until an indexed document is found
	// by a search.
	RefreshInterval Duration `yaml:"refresh_interval" min:"10ms"`
	// MemoryBuffer bounds the bytes of documents that are held in memory
	// before they are written as a segment.
	MemoryBuffer Size `yaml:"memory_buffer" min:"1MiB"`
	// RequestMax is the largest request body that is read.
	RequestMax Size `yaml:"request_max" min:"64KiB"`
	// SearchMemory bounds the bytes that running searches hold.
	SearchMemory Size `yaml:"search_memory" min:"1MiB"`
}
