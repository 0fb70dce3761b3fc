package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/logquery"
)

// Options are what a console works with.
type Options struct {
	// Logger gets what an operator should know; nil says nothing.
	Logger *slog.Logger
	// Gatherer is what /metrics shows; nil shows nothing.
	Gatherer prometheus.Gatherer
	// Registerer takes the console's own metrics; nil registers none.
	Registerer prometheus.Registerer
	// Kafka is the cluster that topics and groups are read from.
	Kafka configs.Kafka
	// Elasticsearch is where lines and alerts are searched.
	Elasticsearch configs.Elasticsearch
	// Ready says why the process is not ready; nil always is.
	Ready func() error
	// Notice says what a process that is ready cannot do at present, nil when
	// it can do everything. It is told on /readyz and does not take the process
	// out of service.
	Notice func() error
}

// Console serves the page and the operators' paths.
type Console struct {
	options  Options
	log      *slog.Logger
	listener net.Listener
	guard    guard
	metrics  *consoleMetrics
	logs     logquery.Transport
	logsErr  error
	cluster  *cluster
	searches chan struct{} // one slot for each that may run at once, as below
	views    chan struct{}
	tails    chan struct{}
	// ending is closed when the process is asked to stop, so that tails end.
	ending   chan struct{}
	endOnce  sync.Once
	handlers http.Handler
}

// New opens the listener. The cluster and Elasticsearch need not be there yet.
func New(cfg configs.HTTP, o Options) (*Console, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	c := &Console{
		options: o, log: o.Logger,
		listener: netutil.LimitListener(listener, connectionsMax),
		guard:    newGuard(cfg),
		metrics:  newMetrics(o.Registerer),
		cluster:  newCluster(o.Kafka, o.Logger),
		searches: make(chan struct{}, searchesMax),
		views:    make(chan struct{}, viewsMax),
		tails:    make(chan struct{}, tailsMax),
		ending:   make(chan struct{}),
	}
	if client, err := elastic.NewClient(o.Elasticsearch); err != nil {
		c.logsErr = err
	} else {
		c.logs = client
	}
	c.handlers = c.routes()
	return c, nil
}

// Addr is the address that is listened on.
func (c *Console) Addr() string { return c.listener.Addr().String() }

// Run serves until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           c.handlers,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(c.listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		c.endOnce.Do(func() { close(c.ending) })
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(stop) != nil {
			err = server.Close() // a profile that is being taken need not end
		}
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
	}
	return errors.Join(err, c.cluster.close())
}

// routes puts the handlers together.
func (c *Console) routes() http.Handler {
	api := http.NewServeMux()
	api.Handle("/api/status", c.answer(c.searches, c.status))
	api.Handle("/api/logs/search", c.answer(c.searches, c.search))
	api.Handle("/api/logs/histogram", c.answer(c.searches, c.histogram))
	api.HandleFunc("/api/logs/tail", c.tail)
	api.Handle("/api/alerts", c.answer(c.searches, c.alerts))
	api.Handle("/api/topics", c.answer(c.views, c.topics))
	api.Handle("/api/groups", c.answer(c.views, c.groups))
	api.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, &problem{http.StatusNotFound, "there is no " + r.URL.Path, "the page is on /"})
	})
	api.Handle("/debug/pprof/", http.HandlerFunc(pprof.Index))
	api.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	api.HandleFunc("/debug/pprof/profile", pprof.Profile)
	api.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	api.HandleFunc("/debug/pprof/trace", pprof.Trace)
	if c.options.Gatherer != nil {
		api.Handle("/metrics", promhttp.HandlerFor(c.options.Gatherer, promhttp.HandlerOpts{}))
	}
	api.Handle("/", pageHandler())

	root := http.NewServeMux()
	root.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	root.HandleFunc("/readyz", c.readyz)
	root.Handle("/", c.guard.protect(api))
	return c.metrics.count(root)
}

func (c *Console) readyz(w http.ResponseWriter, _ *http.Request) {
	if c.options.Ready != nil {
		if err := c.options.Ready(); err != nil {
			writeText(w, http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
			return
		}
	}
	text := "ok\n"
	if c.options.Notice != nil {
		if err := c.options.Notice(); err != nil {
			text += "notice: " + err.Error() + "\n"
		}
	}
	writeText(w, http.StatusOK, text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that has gone needs no answer
}
