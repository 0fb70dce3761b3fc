package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/internal/vfs"
)

// exportMarkName is the file that a target directory has while the export into
// it is not finished. Kafka does not start on it: meta.properties comes last.
const exportMarkName = "export-unfinished"

// ExportOptions say which broker's data to write, and where to.
type ExportOptions struct {
	// Dir is the data directory of a broker that is stopped.
	Dir    string
	Layout Layout
	// To is the log directory that is made; it must not be there or be empty.
	To string
	// Mode is kafkadir.Copy or Link.
	Mode kafkadir.Mode
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Logger gets what the recovery of logs has to say; nil discards it.
	Logger *slog.Logger
	// Progress is called while partitions are written; nil is not called.
	Progress func(step string, done, total int)
}

// ExportReport says what was written.
type ExportReport struct {
	ClusterID  string `json:"cluster_id"`
	NodeID     int32  `json:"node_id"`
	Topics     int    `json:"topics"`
	Partitions int    `json:"partitions"`
	Bytes      int64  `json:"bytes"`
	// Records are those of the metadata snapshot.
	Records int `json:"metadata_records"`
}

// ExportKafka writes the data of a broker that is stopped as a log directory
// that an Apache Kafka 4.1 node, broker and only controller, starts from. The broker's own data
// stays as it is; logs that were not closed in order are recovered first. On
// return without an error everything is durable. After an error or a crash the
// same call begins anew.
func ExportKafka(ctx context.Context, o ExportOptions) (*ExportReport, error) {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	report, err := o.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("export for Apache Kafka: %w", err)
	}
	return report, nil
}

func (o *ExportOptions) run(ctx context.Context) (*ExportReport, error) {
	known, err := readProperties(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if known.format == 0 {
		return nil, fmt.Errorf("%s is not a data directory of Millrace: %s is missing", o.Dir, propertiesName)
	}
	lock, err := lockDir(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	report, err := o.runLocked(ctx, known)
	return report, errors.Join(err, lock.Close())
}

func (o *ExportOptions) runLocked(ctx context.Context, known properties) (*ExportReport, error) {
	if err := checkFinished(o.FS, o.Dir); err != nil {
		return nil, err
	}
	store, err := openMetadata(metadata.Config{FS: o.FS, Logger: o.Logger}, o.Dir, known)
	if err != nil {
		return nil, err
	}
	image := store.Image()
	if err := errors.Join(store.Close(), o.recoverLogs()); err != nil {
		return nil, err
	}
	replicas, err := o.replicas(image)
	if err != nil {
		return nil, err
	}
	if err := o.prepare(); err != nil {
		return nil, err
	}
	return o.write(ctx, known, image, replicas)
}

// recoverLogs opens all logs and closes them in order.
func (o *ExportOptions) recoverLogs() error {
	store, err := storage.Open(storage.Config{Dir: filepath.Join(o.Dir, o.Layout.logs()), FS: o.FS, Logger: o.Logger, Locked: o.Layout == LayoutKafka})
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range store.Logs() {
		if err := l.Err(); err != nil {
			errs = append(errs, fmt.Errorf("partition %s is offline: %w", l.ID(), err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, store.Close())...)
	}
	return store.Close()
}

// replicas are the partitions of the image as they lie on disk. One without a
// directory was never written to.
func (o *ExportOptions) replicas(image *metadata.Image) ([]*kafkadir.Replica, error) {
	logs, err := kafkadir.ReadCheckpoints(o.FS, filepath.Join(o.Dir, o.Layout.logs()))
	if err != nil {
		return nil, err
	}
	var replicas []*kafkadir.Replica
	for _, name := range image.TopicNames() {
		t := image.Topic(name)
		for p := range t.Partitions {
			r, err := logs.OwnReplica(o.FS, name, kafkadir.UUID(t.ID), int32(p))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			replicas = append(replicas, r)
		}
	}
	return replicas, nil
}

// prepare makes the target: a new directory, or one that an interrupted
// export has left.
func (o *ExportOptions) prepare() error {
	if err := vfs.MkdirAllDurable(o.FS, o.To); err != nil {
		return err
	}
	entries, err := o.FS.ReadDir(o.To)
	if err != nil {
		return err
	}
	mark := filepath.Join(o.To, exportMarkName)
	_, err = o.FS.Stat(mark)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: an export needs a new directory", o.To)
	}
	for _, e := range entries {
		if e.Name() != exportMarkName {
			if err := o.FS.RemoveAll(filepath.Join(o.To, e.Name())); err != nil {
				return err
			}
		}
	}
	return vfs.WriteFile(o.FS, mark, []byte("an export from "+o.Dir+" was interrupted: run it again\n"))
}

func (o *ExportOptions) write(ctx context.Context, known properties, image *metadata.Image, replicas []*kafkadir.Replica) (*ExportReport, error) {
	report := &ExportReport{ClusterID: image.ClusterID, NodeID: *known.nodeID, Topics: len(image.TopicNames()), Partitions: len(replicas)}
	for _, r := range replicas {
		report.Bytes += r.Bytes()
	}
	transfer := kafkadir.Transfer{FS: o.FS, Mode: o.Mode, LogDir: o.To, Progress: func(done, total int, _ int64) { o.Progress("write partitions", done, total) }}
	if err := transfer.Run(ctx, replicas); err != nil {
		return nil, err
	}
	if err := transfer.WriteCheckpoints(replicas); err != nil {
		return nil, err
	}
	id := kafkadir.UUID(newID())
	records := exportRecords(image, *known.nodeID, id)
	report.Records = len(records)
	if err := kafkadir.WriteMetadata(o.FS, o.To, records, time.Now()); err != nil {
		return nil, err
	}
	if err := o.FS.Remove(filepath.Join(o.To, exportMarkName)); err != nil {
		return nil, err
	}
	p := &kafkadir.Properties{ClusterID: image.ClusterID, NodeID: *known.nodeID, DirectoryID: id}
	return report, p.Write(o.FS, o.To)
}
