package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/groups"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions"
	"github.com/millrace/millrace/broker/wire"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/buffers"
	"github.com/millrace/millrace/internal/vfs"
)

// Options of a Node besides its configuration.
type Options struct {
	// Dir is the data directory; it is created when missing.
	Dir string
	// Layout says where in Dir the partitions are; LayoutOwn by default.
	Layout Layout
	// Logger gets what an operator wants to know; nil discards it.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer
	// FS is what Dir is on; nil is the operating system's.
	FS vfs.FS
}

// Node is one broker.
type Node struct {
	cfg configs.Broker
	log *slog.Logger
	dir string
	// layout says where in dir the partitions are.
	layout Layout
	lock   io.Closer
	// listeners are open from New on, in the order of the configuration.
	listeners []*listener

	meta   *metadata.Store
	store  *storage.Store
	budget *wire.Budget
	// buffers are lent to requests and reads, whose bytes budget bounds.
	buffers *buffers.Pool
	server  *wire.Server
	// advertisedAPIs is the table that ApiVersions answers with.
	advertisedAPIs []wire.API
	topics         *topicTable
	configs        *configTables
	groups         *groups.Coordinator
	transactions   *transactions.Coordinator
	ids            producerIDs
	authorizer     *acl.Authorizer // nil when none is configured
	denials        *denials
	refusals       *refusals
	quotas         *clientQuotas
	fresh          bool // the metadata was empty at this start

	produceTasks  produceTasks
	fetchTasks    fetchTasks
	fetchSessions *fetchSessions

	topicMu sync.Mutex // held through a change of topics, from the decision to the logs
	closing sync.Once
	closed  error
}

// New opens or creates the data directory, recovers what a crash left, and
// listens. It does not serve before Run is called.
func New(cfg configs.Broker, opts Options) (*Node, error) {
	n := &Node{cfg: cfg, log: opts.Logger, dir: opts.Dir, layout: opts.Layout, topics: newTopicTable(), configs: newConfigTables()}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.refusals = newRefusals(n.log)
	if opts.FS == nil {
		opts.FS = vfs.OS()
	}
	if err := n.open(opts.FS, opts.Registerer); err != nil {
		return nil, errors.Join(fmt.Errorf("start broker: %w", err), n.close())
	}
	return n, nil
}

func (n *Node) open(fs vfs.FS, reg prometheus.Registerer) error {
	if err := validateConfig(n.cfg); err != nil {
		return err
	}
	var err error
	if n.authorizer, err = newAuthorizer(n.cfg.Authorizer); err != nil {
		return fmt.Errorf("broker.authorizer.super_users: %w", err)
	}
	if n.denials, err = newDenials(n.log, reg); err != nil {
		return err
	}
	if n.lock, err = lockDir(fs, n.dir); err != nil {
		return err
	}
	if err := checkFinished(fs, n.dir); err != nil {
		return err
	}
	known, err := n.readProperties(fs)
	if err != nil {
		return err
	}
	if n.meta, err = openMetadata(metadata.Config{FS: fs, Logger: n.log, NodeID: n.cfg.NodeID, Registerer: reg}, n.dir, known); err != nil {
		return err
	}
	if err := n.identify(fs, known); err != nil {
		return err
	}
	if err := n.openListeners(); err != nil {
		return err
	}
	if err := errors.Join(n.register(), n.finalizeFeatures()); err != nil {
		return err
	}
	if err := n.openStorage(fs, reg); err != nil {
		return err
	}
	return n.openServer(reg)
}

func (n *Node) openStorage(fs vfs.FS, reg prometheus.Registerer) error {
	durability := storage.DurabilityFsync
	if n.cfg.Durability == "os" {
		durability = storage.DurabilityOS
	}
	dir := n.logDir()
	err := vfs.MkdirAllDurable(fs, dir)
	if err != nil {
		return err
	}
	n.buffers = buffers.New(n.cfg.RequestMemory.Bytes() / freeBuffersPart)
	openFiles, err := segmentFilesMax(n.cfg)
	if err != nil {
		return err
	}
	n.store, err = storage.Open(storage.Config{
		Dir: dir, Durability: durability, Logger: n.log, Registerer: reg, FS: fs,
		RetentionCheckInterval: n.cfg.RetentionCheckInterval.D(), Locked: n.layout == LayoutKafka,
		Buffers: n.buffers, OpenFilesMax: openFiles, DiskReserveBytes: n.cfg.DiskReserve.Bytes(),
		Cleaner: n.cleanerConfig(n.meta.Image()),
	})
	if err != nil {
		return err
	}
	if logs := n.store.Logs(); n.fresh && len(logs) > 0 {
		return fmt.Errorf("%s holds %d partitions (%s, ...), but the metadata in %s is empty: bring it back, or remove both", dir, len(logs), logs[0].ID(), filepath.Join(n.dir, "metadata"))
	}
	return n.reconcile()
}

func (n *Node) openServer(reg prometheus.Registerer) error {
	metrics, err := wire.NewMetrics(reg)
	if err != nil {
		return err
	}
	n.budget = wire.NewBudget(n.cfg.RequestMemory.Bytes())
	if err := n.registerMetrics(reg); err != nil {
		return err
	}
	if err := n.openGroups(reg); err != nil {
		return err
	}
	if err := n.openTransactions(reg); err != nil {
		return err
	}
	n.fetchSessions = newFetchSessions(fetchSessionsMax, fetchSessionPartsMax, mathrand.Int32)
	n.quotas = newClientQuotas(n)
	if err := errors.Join(n.quotas.registerMetrics(reg), n.fetchSessions.registerMetrics(reg)); err != nil {
		return err
	}
	n.advertisedAPIs = n.apis()
	perHost, err := connectionOverrides(n.cfg.ConnectionsMaxPerIPOverrides)
	if err != nil {
		return err
	}
	n.server, err = wire.NewServer(wire.Config{
		Listeners: n.wireListeners(), APIs: n.advertisedAPIs, RequestMax: n.cfg.RequestMax.Bytes(), Budget: n.budget, Buffers: n.buffers,
		ConnectionsMax: n.cfg.ConnectionsMax, ConnectionsPerHost: n.cfg.ConnectionsMaxPerIP, ConnectionsPerHostOf: perHost,
		IdleTimeout: n.cfg.IdleTimeout.D(), HandshakeTimeout: n.cfg.HandshakeTimeout.D(), Logger: n.log, Metrics: metrics, Quota: n.quotas,
	})
	return err
}

// WritesRefused says why producers are refused at present: the disk is nearly
// full. nil when they are not.
func (n *Node) WritesRefused() error {
	if err := n.store.WritesRefused(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// ClusterID returns the cluster's id, which never changes.
func (n *Node) ClusterID() string { return n.meta.Image().ClusterID }

// Run serves until ctx ends; then it answers what it can within seconds, flushes
// everything and closes. It returns nil for an orderly end. It must be called
// once, also when the node is not to be used after all.
func (n *Node) Run(ctx context.Context) error {
	start := time.Now()
	n.log.Info("broker started", "node_id", n.cfg.NodeID, "address", n.Addr(), "cluster_id", n.ClusterID(),
		"topics", len(n.meta.Image().TopicNames()), "partitions", n.meta.Image().PartitionCount())
	stopTrimming := n.trimBuffers()
	err := n.runGroups(ctx)
	stopTrimming()
	err = errors.Join(err, n.close())
	n.log.Info("broker stopped", "node_id", n.cfg.NodeID, "uptime", time.Since(start).Round(time.Second).String())
	return err
}

// close releases what open has taken, in the opposite order.
func (n *Node) close() error {
	n.closing.Do(func() {
		var errs []error
		for _, l := range n.listeners {
			if err := l.net.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		if n.store != nil {
			errs = append(errs, n.store.Close())
		}
		if n.meta != nil {
			errs = append(errs, n.meta.Close())
		}
		if n.lock != nil {
			errs = append(errs, n.lock.Close())
		}
		n.closed = errors.Join(errs...)
	})
	return n.closed
}

// readProperties checks that the directory is this node's.
func (n *Node) readProperties(fs vfs.FS) (properties, error) {
	known, err := readProperties(fs, n.dir)
	if err == nil && known.nodeID != nil && *known.nodeID != n.cfg.NodeID {
		err = fmt.Errorf("%s belongs to node %d, but broker.node_id is %d", n.dir, *known.nodeID, n.cfg.NodeID)
	}
	return known, err
}

// identify gives a new cluster its id and checks that properties and metadata are of the same.
func (n *Node) identify(fs vfs.FS, known properties) error {
	image := n.meta.Image()
	if image.ClusterID == "" {
		n.fresh = true
		id := known.clusterID
		if id == "" {
			id = newID().String()
		}
		var err error
		image, err = n.meta.Update(func(*metadata.Image) ([]metadata.Record, error) {
			first, err := bootstrapRecords(fs, n.dir)
			return append([]metadata.Record{&metadata.ClusterRecord{ClusterID: id}}, first...), err
		})
		if err != nil {
			return err
		}
	}
	if known.clusterID != "" && known.clusterID != image.ClusterID {
		return fmt.Errorf("%s says cluster %s, its metadata says %s: the directory was mixed up with another", n.dir, known.clusterID, image.ClusterID)
	}
	if known.format == 0 {
		known.clusterID, known.nodeID = image.ClusterID, &n.cfg.NodeID
		return writeProperties(fs, n.dir, known)
	}
	return nil
}

// register announces this start to the metadata: new leader epochs follow from it.
func (n *Node) register() error {
	_, err := n.meta.Update(func(*metadata.Image) ([]metadata.Record, error) {
		endpoints := n.endpoints()
		return []metadata.Record{&metadata.BrokerRecord{
			NodeID: n.cfg.NodeID, Host: endpoints[0].Host, Port: endpoints[0].Port, Endpoints: endpoints, Incarnation: newID(),
		}}, nil
	})
	return err
}

func newID() metadata.TopicID {
	var id metadata.TopicID
	for id == (metadata.TopicID{}) || id.String()[0] == '-' { // as Kafka: no id that looks like an option
		rand.Read(id[:]) // never fails
	}
	return id
}

func validateConfig(cfg configs.Broker) error {
	if err := errors.Join(checkListeners(cfg), checkDefaults(cfg)); err != nil {
		return err
	}
	switch {
	case cfg.Durability != "fsync" && cfg.Durability != "os":
		return fmt.Errorf("broker.durability is %q: write fsync or os", cfg.Durability)
	case cfg.DefaultPartitions < 1:
		return fmt.Errorf("broker.default_partitions is %d: it must be at least 1", cfg.DefaultPartitions)
	case cfg.OffsetsPartitions < 1:
		return fmt.Errorf("broker.offsets_partitions is %d: it must be at least 1", cfg.OffsetsPartitions)
	case cfg.DiskReserve < 0:
		return fmt.Errorf("broker.disk_reserve is %s: it must not be negative", cfg.DiskReserve)
	case cfg.TransactionsPartitions < 1:
		return fmt.Errorf("broker.transactions_partitions is %d: it must be at least 1", cfg.TransactionsPartitions)
	case cfg.NodeID < 0:
		return fmt.Errorf("broker.node_id is %d: it must not be negative", cfg.NodeID)
	case cfg.ConnectionsMax < 1:
		return fmt.Errorf("broker.connections_max is %d: it must be at least 1", cfg.ConnectionsMax)
	case cfg.IdleTimeout <= 0:
		return fmt.Errorf("broker.idle_timeout is %s: it must be more than 0", cfg.IdleTimeout)
	case cfg.RequestMax.Bytes() < cfg.MessageMax.Bytes():
		return fmt.Errorf("broker.request_max (%s) must not be smaller than broker.message_max (%s)", cfg.RequestMax, cfg.MessageMax)
	case cfg.RequestMemory < cfg.RequestMax:
		return fmt.Errorf("broker.request_memory (%s) must not be smaller than broker.request_max (%s)", cfg.RequestMemory, cfg.RequestMax)
	}
	return nil
}
