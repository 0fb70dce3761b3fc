package configs

// Config is the whole of millrace.yaml.
type Config struct {
	// DataDir holds everything that Millrace keeps on this host: the broker's
	// log, the agent's registry, the search node's segments.
	DataDir string `yaml:"data_dir"`

	// Include names further YAML files by glob, relative to the file that
	// includes them. Lists (inputs, pipelines) are appended, single values may
	// be given in one file only.
	Include []string `yaml:"include"`

	// Log says what the process writes about itself on stderr.
	Log Log `yaml:"log"`

	// HTTP is the one port for the console, /metrics, /healthz, /readyz and
	// /debug/pprof.
	HTTP HTTP `yaml:"http"`

	// Kafka is the cluster that agent, pipelines and alerting talk to. Without
	// brokers it is the embedded broker.
	Kafka Kafka `yaml:"kafka"`

	// Elasticsearch is where documents are indexed and searched. Without
	// addresses it is the embedded search node.
	Elasticsearch Elasticsearch `yaml:"elasticsearch"`

	// Broker is the embedded broker node.
	Broker Broker `yaml:"broker"`

	// Agent reads files on this host and ships their lines.
	Agent Agent `yaml:"agent"`

	// Pipelines parse records, raise alerts and write documents. Each may
	// stand here or in a file of its own that pipeline_files names.
	Pipelines []Pipeline `yaml:"pipelines"`

	// PipelineFiles names files that hold one pipeline each, by glob, relative
	// to the configuration file.
	PipelineFiles []string `yaml:"pipeline_files"`

	// DefaultPipeline is applied to topics that match topics and that no
	// pipeline names.
	DefaultPipeline DefaultPipeline `yaml:"default_pipeline"`

	// Notifiers are the places that alerts are sent to, by name.
	Notifiers map[string]Notifier `yaml:"notifiers"`

	// Alerting bounds what the alert rules may use.
	Alerting Alerting `yaml:"alerting"`

	// Search is the embedded search node.
	Search Search `yaml:"search"`

	// Mirror copies topics from one cluster to another (millrace mirror).
	Mirror Mirror `yaml:"mirror"`

	// places says where each value stands, for errors. Written by Load only.
	places map[string]place
}

// Log says what the process writes about itself on stderr.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level" oneof:"debug info warn error"`
	// Format is text (key=value) or json.
	Format string `yaml:"format" oneof:"text json"`
}

// HTTP is the console and metrics listener.
type HTTP struct {
	// Listen is host:port. Empty turns the listener off.
	Listen string `yaml:"listen"`
	// Hosts are further names under which browsers and scrapers may reach the
	// listener. IP addresses, localhost and the host's own name always may.
	Hosts []string `yaml:"hosts"`
}

// Kafka is how a client part reaches a cluster that speaks Kafka's protocol.
type Kafka struct {
	// Brokers are host:port addresses to start from.
	Brokers []string `yaml:"brokers"`
	// ClientID is sent with every request.
	ClientID string `yaml:"client_id"`
	// TLS turns on encryption of the connections.
	TLS TLS `yaml:"tls"`
	// SASL authenticates the connections.
	SASL SASL `yaml:"sasl"`
	// ReplicationFactor is used for topics that Millrace creates; -1 takes
	// the cluster's default.
	ReplicationFactor int16 `yaml:"replication_factor" min:"-1"`
	// Partitions is used for topics that Millrace creates; -1 takes the
	// cluster's default.
	Partitions int32 `yaml:"partitions" min:"-1"`
}

// TLS is the client side of an encrypted connection.
type TLS struct {
	// Enabled turns TLS on.
	Enabled bool `yaml:"enabled"`
	// CAFile is a PEM file of the authorities to trust; empty means the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are the client's own certificate, in PEM.
	CertFile string `yaml:"cert_file"`
	// KeyFile belongs to cert_file.
	KeyFile string `yaml:"key_file"`
	// ServerName overrides the name that the server's certificate must have.
	ServerName string `yaml:"server_name"`
}

// SASL authenticates to a Kafka cluster.
type SASL struct {
	// Mechanism of the authentication; empty means none.
	Mechanism string `yaml:"mechanism" oneof:"plain scram-sha-256 scram-sha-512"`
	// Username of the client.
	Username string `yaml:"username"`
	// Password of the client; write ${file:PATH} to keep it out of this file.
	Password string `yaml:"password"`
}

// Elasticsearch is how documents are written and searched.
type Elasticsearch struct {
	// Addresses are base URLs, for instance http://127.0.0.1:9200.
	Addresses []string `yaml:"addresses"`
	// Username for HTTP basic authentication.
	Username string `yaml:"username"`
	// Password belongs to username.
	Password string `yaml:"password"`
	// APIKey is sent instead of username and password.
	APIKey string `yaml:"api_key"`
	// CAFile is a PEM file of the authorities to trust; empty means the system's.
	CAFile string `yaml:"ca_file"`
}
