package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/vfs"
)

// unfinishedName is the file that a data directory has while an import into
// it is not finished: a broker does not start on it.
const unfinishedName = "import-unfinished.json"

// ErrImportUnfinished is returned for a data directory whose import was interrupted.
var ErrImportUnfinished = errors.New("an import from Apache Kafka into this directory was not finished: run the same import-kafka again, or remove the directory")

// ErrIncomplete is returned by ImportKafka when something of the node's data is
// missing or damaged, and ImportOptions.Incomplete does not allow that.
var ErrIncomplete = errors.New("the data is not complete")

// ImportOptions say what to take over, and where to.
type ImportOptions struct {
	// From are the log directories of one Apache Kafka node, all of them.
	From []string
	// Dir is the data directory of the broker; nothing may be in it. Layout says
	// how it is laid out.
	Dir    string
	Layout Layout
	// Config checks the configs of topics; its node id does not count.
	Config configs.Broker
	// Mode is kafkadir.Copy, Link or Move.
	Mode kafkadir.Mode
	// DryRun only looks.
	DryRun bool
	// Incomplete takes what is there although something is missing or damaged.
	Incomplete bool
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Progress is called while partitions are looked at and brought over; nil is not called.
	Progress func(step string, done, total int)
}

// ImportReport says what was, or with DryRun would be, taken over.
type ImportReport struct {
	ClusterID string `json:"cluster_id"`
	NodeID    int32  `json:"node_id"`
	// CleanShutdown says that Kafka was stopped in order.
	CleanShutdown bool  `json:"clean_shutdown"`
	Topics        int   `json:"topics"`
	Partitions    int   `json:"partitions"`
	Bytes         int64 `json:"bytes"`
	Configs       int   `json:"configs"`
	ACLs          int   `json:"acls"`
	// Users are SCRAM credentials.
	Users  int `json:"users"`
	Quotas int `json:"quotas"`
	// Cut are the torn ends of logs, which were never acknowledged by a sync.
	Cut []kafkadir.Finding `json:"cut"`
	// Gaps are what is missing or damaged.
	Gaps []kafkadir.Finding `json:"gaps"`
	// Left is what lies in the directories but is not the node's any more.
	Left []kafkadir.Finding `json:"left"`
	// NotTaken is metadata that has no counterpart here, or another value.
	NotTaken []kafkadir.Finding `json:"not_taken"`
}

// importPlan is the content of the unfinished file: all that a later run needs
// to go on in the same way.
type importPlan struct {
	From      []string            `json:"from"`
	ClusterID string              `json:"cluster_id"`
	NodeID    int32               `json:"node_id"`
	Mode      kafkadir.Mode       `json:"mode"`
	Offset    int64               `json:"metadata_offset"`
	Replicas  []*kafkadir.Replica `json:"replicas"`
	Report    ImportReport        `json:"report"`
}

// ImportKafka takes over the data of an Apache Kafka node that is stopped:
// partitions as they are, topics with ids and configs, groups and transactions
// (which lie in partitions), producer ids, access control entries. The source stays as it
// is unless the mode is kafkadir.Move.
//
// A run that was interrupted, also by a loss of power, is finished by another one
// with the same options; until then no broker starts on the directory. On return
// without an error everything is durable.
func ImportKafka(ctx context.Context, o ImportOptions) (*ImportReport, error) {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	report, err := o.run(ctx)
	if err != nil {
		return report, fmt.Errorf("import from Apache Kafka: %w", err)
	}
	return report, nil
}

func (o *ImportOptions) run(ctx context.Context) (*ImportReport, error) {
	for _, from := range o.From {
		if filepath.Clean(from) == filepath.Clean(o.Dir) {
			return nil, fmt.Errorf("%s cannot be taken over in place: name another, new directory", from)
		}
	}
	source, err := kafkadir.OpenSource(o.FS, o.From...)
	if err != nil {
		return nil, err
	}
	report, err := o.runFrom(ctx, source)
	return report, errors.Join(err, source.Close())
}

func (o *ImportOptions) runFrom(ctx context.Context, source *kafkadir.Source) (*ImportReport, error) {
	if source.Fresh() {
		return nil, errors.New("Apache Kafka was never started on this directory: start the broker on it, or format another one") //nolint:staticcheck // a name begins it
	}
	var lock io.Closer
	if !o.DryRun {
		var err error
		if lock, err = lockDir(o.FS, o.Dir); err != nil {
			return nil, err
		}
	}
	report, err := o.runLocked(ctx, source)
	if lock != nil {
		err = errors.Join(err, lock.Close())
	}
	return report, err
}

func (o *ImportOptions) runLocked(ctx context.Context, source *kafkadir.Source) (*ImportReport, error) {
	plan, resumed, err := o.plan(source)
	if err != nil {
		return nil, err
	}
	records, notTaken := o.records(source, plan)
	plan.Report.NotTaken = notTaken
	if len(plan.Report.Gaps) > 0 && !o.Incomplete {
		return &plan.Report, ErrIncomplete
	}
	if o.DryRun {
		return &plan.Report, nil
	}
	if !resumed {
		content, err := json.Marshal(plan)
		if err == nil {
			err = vfs.WriteFile(o.FS, filepath.Join(o.Dir, unfinishedName), content)
		}
		if err != nil {
			return nil, err
		}
	}
	return &plan.Report, o.execute(ctx, plan, records)
}

// plan finds out what is to be done, or what an earlier run was to do.
func (o *ImportOptions) plan(source *kafkadir.Source) (plan *importPlan, resumed bool, err error) {
	if plan, err = o.resume(source); plan != nil || err != nil {
		return plan, true, err
	}
	if err := o.checkNew(); err != nil {
		return nil, false, err
	}
	survey, err := source.Survey(func(done, total int) { o.Progress("look at partitions", done, total) })
	if err != nil {
		return nil, false, err
	}
	plan = &importPlan{
		From: o.From, ClusterID: source.ClusterID(), NodeID: source.NodeID(), Mode: o.Mode,
		Offset: source.Metadata.Offset, Replicas: survey.Replicas,
	}
	plan.Report = newImportReport(source, survey)
	return plan, false, nil
}

// checkNew refuses a directory in which there is anything of a broker.
func (o *ImportOptions) checkNew() error {
	for _, name := range []string{"metadata", "logs", propertiesName} {
		_, err := o.FS.Stat(filepath.Join(o.Dir, name))
		if err == nil {
			return fmt.Errorf("%s is there already: an import needs a new data directory", filepath.Join(o.Dir, name))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if o.Layout != LayoutKafka {
		return nil
	}
	entries, err := o.FS.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != lockName && name != "lost+found" {
			return fmt.Errorf("%s is there already: an import needs a new data directory", filepath.Join(o.Dir, name))
		}
	}
	return nil
}

func newImportReport(source *kafkadir.Source, survey *kafkadir.Survey) ImportReport {
	r := ImportReport{
		ClusterID: source.ClusterID(), NodeID: source.NodeID(), CleanShutdown: source.Clean(),
		Topics: len(source.Metadata.Topics), Partitions: len(survey.Replicas), Gaps: survey.Gaps, Left: survey.Left,
	}
	if source.Metadata.Cut != "" {
		r.Cut = append(r.Cut, kafkadir.Finding{What: "metadata", Why: source.Metadata.Cut})
	}
	for _, replica := range survey.Replicas {
		r.Bytes += replica.Bytes()
		if c := replica.Cut; c != nil {
			r.Cut = append(r.Cut, kafkadir.Finding{What: replica.Name(), Why: fmt.Sprintf("%d bytes from byte %d of %s on, where offset %d would be: %s", c.Bytes, c.Position, c.File, c.Offset, c.Reason)})
		}
	}
	return r
}

// resume reads what an earlier run had planned; nil when there was none.
func (o *ImportOptions) resume(source *kafkadir.Source) (*importPlan, error) {
	content, err := vfs.ReadFile(o.FS, filepath.Join(o.Dir, unfinishedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plan := &importPlan{}
	if err := json.Unmarshal(content, plan); err != nil {
		return nil, fmt.Errorf("%s: %w", unfinishedName, err)
	}
	if !reflect.DeepEqual(plan.From, o.From) || plan.Mode != o.Mode || plan.ClusterID != source.ClusterID() ||
		plan.NodeID != source.NodeID() || plan.Offset != source.Metadata.Offset {
		return nil, fmt.Errorf("%s holds an unfinished import from %v (%s): finish that one, or remove the directory", o.Dir, plan.From, plan.Mode)
	}
	return plan, nil
}

// execute brings the data over: partitions, checkpoints, metadata, properties.
// Each step can be done again.
func (o *ImportOptions) execute(ctx context.Context, plan *importPlan, records []metadata.Record) error {
	transfer := kafkadir.Transfer{
		FS: o.FS, Mode: plan.Mode, LogDir: filepath.Join(o.Dir, o.Layout.logs()),
		Progress: func(done, total int, _ int64) { o.Progress("bring partitions over", done, total) },
	}
	if err := transfer.Run(ctx, plan.Replicas); err != nil {
		return err
	}
	if err := transfer.WriteCheckpoints(plan.Replicas); err != nil {
		return err
	}
	if err := o.writeMetadata(plan.NodeID, records); err != nil {
		return err
	}
	if err := writeProperties(o.FS, o.Dir, properties{clusterID: plan.ClusterID, nodeID: &plan.NodeID}); err != nil {
		return err
	}
	if err := o.FS.Remove(filepath.Join(o.Dir, unfinishedName)); err != nil {
		return err
	}
	return o.FS.SyncDir(o.Dir)
}

func (o *ImportOptions) writeMetadata(nodeID int32, records []metadata.Record) error {
	dir := filepath.Join(o.Dir, "metadata")
	if err := o.FS.RemoveAll(dir); err != nil { // of an earlier run
		return err
	}
	store, err := metadata.Open(metadata.Config{Dir: dir, FS: o.FS, NodeID: nodeID})
	if err != nil {
		return err
	}
	_, err = store.Update(func(*metadata.Image) ([]metadata.Record, error) { return records, nil })
	return errors.Join(err, store.Close(), o.FS.SyncDir(o.Dir))
}
