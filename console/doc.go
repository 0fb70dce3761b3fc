// Package console is Millrace's one HTTP port: the web page on "/", its JSON
// answers below "/api/", and what operators and machines ask for: "/metrics",
// "/healthz", "/readyz" and "/debug/pprof/".
//
//	c, err := console.New(cfg.HTTP, console.Options{Kafka: cfg.Kafka, Elasticsearch: cfg.Elasticsearch, ...})
//	err = c.Run(ctx)
//
// The page is plain HTML, CSS and JavaScript, embedded, without a build step
// and without any other host. It shows lines by queries in Lucene syntax, a
// histogram over time, a live tail, alerts, topics with size and rate, and consumer
// groups with lag. It reads only: nothing here changes a topic, a group or an index.
//
// # Security
//
// The port has no login: it listens on loopback by default, and whoever
// reaches it can read every line. Two things keep other web sites from reading through
// a browser that can reach it: the Host header must be an IP address, localhost, the
// host's own name or a name of http.hosts (a rebound DNS name is none of them),
// and a request that a browser marks as coming from another origin is refused.
// There are no CORS headers, only GET and HEAD are answered, the page may run and
// load nothing but its own files (Content-Security-Policy), and what comes from logs
// reaches the page as text nodes only.
//
// # Bounds
//
// Connections, searches at once, live tails, hits of an answer and the time
// of a search are bounded; what is beyond is refused with a hint what to do.
//
// State: the last two samples of the topics' end offsets, from which rates are made,
// and one Kafka connection that is opened when it is first needed and again after
// it broke. Handlers run concurrently. [Console.Run] returns after all of them.
package console
