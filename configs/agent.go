package configs

// Agent reads files on this host and ships their lines. Its registry lives in
// <data_dir>/agent.
type Agent struct {
	// Inputs are the files to read.
	Inputs []Input `yaml:"inputs"`
	// Hostname is sent with every record; empty means the host's own name.
	Hostname string `yaml:"hostname"`
	// UnackedMax bounds the bytes of lines that are read and not yet
	// acknowledged by the cluster; reading stops at the limit.
	UnackedMax Size `yaml:"unacked_max" min:"1MiB"`
	// BatchMax is the largest record batch that is built, before compression.
	BatchMax Size `yaml:"batch_max" min:"1KiB"`
	// Linger is how long a batch waits for more lines.
	Linger Duration `yaml:"linger"`
	// Compression of record batches: none, gzip, snappy, lz4 or zstd.
	Compression string `yaml:"compression" oneof:"none gzip snappy lz4 zstd"`
	// RescanInterval is the time between two looks for files that the
	// directory watch did not report.
	RescanInterval Duration `yaml:"rescan_interval" min:"100ms"`
	// CloseInactive closes a file that has not grown for this long; it is
	// opened again when it grows.
	CloseInactive Duration `yaml:"close_inactive"`
	// OpenFilesMax bounds the number of files that are open at once.
	OpenFilesMax int `yaml:"open_files_max" min:"16"`
	// BackoffMax is the longest wait between two tries to reach the cluster.
	BackoffMax Duration `yaml:"backoff_max"`
}

// Input is a set of files that are read in the same way.
type Input struct {
	// Name of the input, in logs and metrics; empty means the topic's.
	Name string `yaml:"name"`
	// Include are globs of files; ** stands for any number of folders.
	Include []string `yaml:"include"`
	// Exclude are globs of files to leave out.
	Exclude []string `yaml:"exclude"`
	// Topic that the lines are sent to.
	Topic string `yaml:"topic"`
	// Fields are sent with every line as record headers and become fields of
	// the document.
	Fields map[string]string `yaml:"fields"`
	// Codec is raw (the line itself) or ecs (a JSON document as Filebeat writes it).
	Codec string `yaml:"codec" oneof:"raw ecs"`
	// Encoding of the files: utf-8 (bytes pass as they are), utf-16le,
	// utf-16be, latin1 or any other WHATWG name.
	Encoding string `yaml:"encoding"`
	// StartAt is beginning or end: where a file that was there before the
	// agent first saw it is read from.
	StartAt string `yaml:"start_at" oneof:"beginning end"`
	// LineMax is the length in bytes at which a line is cut.
	LineMax Size `yaml:"line_max" min:"16"`
	// Multiline joins lines into one event.
	Multiline Multiline `yaml:"multiline"`
}

// Multiline joins lines into one event. It is off while pattern is empty.
type Multiline struct {
	// Pattern is a regular expression (RE2) that lines are tested with.
	Pattern string `yaml:"pattern"`
	// Negate turns the test around.
	Negate bool `yaml:"negate"`
	// Match is after (a line that passes the test belongs to the event before
	// it) or before (it belongs to the one that follows).
	Match string `yaml:"match" oneof:"after before"`
	// LinesMax bounds the lines of one event.
	LinesMax int `yaml:"lines_max" min:"1"`
	// FlushAfter ends an event when no further line has come for this long.
	FlushAfter Duration `yaml:"flush_after" min:"10ms"`
}
