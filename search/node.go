package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/storage"
)

// Options is what a node needs beside its configuration.
type Options struct {
	// Dir is the data folder; it is created when missing and locked while the node lives.
	Dir        string
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// FS is the file system, the operating system's when nil.
	FS vfs.FS
	// Clock is time.Now when nil.
	Clock func() time.Time
}

// Node is a search node.
type Node struct {
	cfg      configs.Search
	logger   *slog.Logger
	clock    func() time.Time
	store    *storage.Store
	listener net.Listener
	server   *http.Server
	memory   *memoryBudget
	bodies   *memoryBudget
	metrics  *metrics
	state    storage.State
	routes   []route
}

// headerTimeout bounds how long a client may take to send its headers.
const headerTimeout = 30 * time.Second

// New opens the data directory, recovers what a former process left, and listens. It takes
// time for the write-ahead log only, whose size the memory buffer bounds.
func New(cfg configs.Search, opts Options) (*Node, error) {
	n := &Node{cfg: cfg, logger: opts.Logger, clock: opts.Clock}
	if n.logger == nil {
		n.logger = slog.New(slog.DiscardHandler)
	}
	if n.clock == nil {
		n.clock = time.Now
	}
	store, err := storage.Open(storage.Config{
		Dir: opts.Dir, FS: opts.FS, Logger: n.logger, Registerer: opts.Registerer, MemoryBuffer: cfg.MemoryBuffer.Bytes(),
		RefreshInterval: cfg.RefreshInterval.D(), RetentionTime: cfg.RetentionTime.D(), RetentionBytes: cfg.RetentionSize.Bytes(),
		Clock: n.clock,
	})
	if err != nil {
		return nil, fmt.Errorf("open search data in %s: %w", opts.Dir, err)
	}
	n.store, n.state = store, store.State()
	n.memory = newMemoryBudget("search", cfg.SearchMemory.Bytes())
	// As many bytes of bodies as the largest request has, and a little more, may be
	// in memory at a time.
	n.bodies = newMemoryBudget("request", cfg.RequestMax.Bytes()+cfg.RequestMax.Bytes()/2)
	n.metrics = newMetrics(opts.Registerer, n)
	n.routes = n.table()
	if n.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for searches on %s: %w", cfg.Listen, err), store.Close())
	}
	n.server = &http.Server{Handler: http.HandlerFunc(n.serve), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelDebug)}
	return n, nil
}

// Addr returns the address that the node listens on.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// stopTimeout bounds how long requests under way may take once the node is to stop.
const stopTimeout = 5 * time.Second

// Run serves until ctx ends, then lets the requests under way finish, writes what is
// buffered and closes the data directory.
func (n *Node) Run(ctx context.Context) error {
	storing, stopStoring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStoring()
	stored := make(chan error, 1)
	go func() { stored <- n.store.Run(storing) }()
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(n.listener) }()
	var errs []error
	select {
	case <-ctx.Done():
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := n.server.Shutdown(stopping); err != nil {
			errs = append(errs, n.server.Close()) // those that take too long are cut off
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	case err := <-served:
		errs = append(errs, fmt.Errorf("serve searches: %w", err))
	}
	stopStoring()
	return errors.Join(append(errs, <-stored)...)
}
