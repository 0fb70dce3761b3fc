package broker

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/internal/vfs"
)

// ErrFormatted is returned by Format for a directory that has a cluster already.
var ErrFormatted = errors.New("is already formatted. Use --ignore-formatted to leave it as it is")

// ScramUser is a credential that a new cluster begins with.
type ScramUser struct {
	Name string
	sasl.Credential
}

// FormatOptions say what a new data directory begins with.
type FormatOptions struct {
	Dir string
	// ClusterID is an id of 22 characters of base64, see RandomUUID.
	ClusterID string
	NodeID    int32
	// Users get SCRAM credentials.
	Users []ScramUser
	// Features are levels other than the latest.
	Features map[string]int16
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
}

// RandomUUID returns a new id for a cluster, as kafka-storage random-uuid does.
func RandomUUID() string { return newID().String() }

// Format prepares a data directory as kafka-storage format does, with the same
// files: meta.properties and bootstrap.checkpoint. A broker, Kafka's or ours, takes them
// at its first start. It returns ErrFormatted for a directory that has a meta.properties.
func Format(o FormatOptions) error {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if _, err := kafkadir.ParseUUID(o.ClusterID); err != nil {
		return fmt.Errorf("cluster id: %w; make one with millrace broker random-uuid", err)
	}
	lock, err := lockDir(o.FS, o.Dir)
	if err != nil {
		return err
	}
	return errors.Join(o.format(), lock.Close())
}

func (o *FormatOptions) format() error {
	if p, err := readProperties(o.FS, o.Dir); err != nil {
		return err
	} else if p.clusterID != "" {
		return fmt.Errorf("Log directory %s %w", o.Dir, ErrFormatted) //nolint:staticcheck // Kafka's words
	}
	records, err := o.records()
	if err != nil {
		return err
	}
	if err := kafkadir.WriteBootstrap(o.FS, o.Dir, records, time.Now()); err != nil {
		return err
	}
	p := kafkadir.Properties{ClusterID: o.ClusterID, NodeID: o.NodeID, DirectoryID: kafkadir.UUID(newID())}
	return p.Write(o.FS, o.Dir)
}

func (o *FormatOptions) records() ([]kafkadir.VersionedRecord, error) {
	for name, level := range o.Features {
		if f, ok := findFeature(name); !ok || level < f.min || level > f.max {
			return nil, fmt.Errorf("feature %s has no level %d here", name, level)
		}
	}
	var records []kafkadir.VersionedRecord
	add := func(r kafkadir.Record) { records = append(records, kafkadir.VersionedRecord{Record: r}) }
	features := supportedFeatures()
	// metadata.version comes first: Kafka's reader needs it for the others.
	slices.SortStableFunc(features, func(a, b feature) int {
		return map[bool]int{true: -1}[a.name == featureMetadata] - map[bool]int{true: -1}[b.name == featureMetadata]
	})
	for _, f := range features {
		level, ok := o.Features[f.name]
		if !ok {
			level = f.max
		}
		if level > 0 {
			add(&kafkadir.FeatureLevelRecord{Name: f.name, Level: level})
		}
	}
	for _, u := range o.Users {
		code := int8(0)
		for c, name := range scramMechanisms() {
			if name == u.Mechanism {
				code = c
			}
		}
		if code == 0 {
			return nil, fmt.Errorf("user %s: mechanism %s is not known", u.Name, u.Mechanism)
		}
		add(&kafkadir.UserScramCredentialRecord{
			Name: u.Name, Mechanism: code, Salt: u.Salt, StoredKey: u.StoredKey, ServerKey: u.ServerKey, Iterations: int32(u.Iterations),
		})
	}
	return records, nil
}

// bootstrapRecords are what kafka-storage, or Format, has left in a directory
// for its first start; none when it was not formatted.
func bootstrapRecords(fsys vfs.FS, dir string) ([]metadata.Record, error) {
	image, err := kafkadir.ReadBootstrap(fsys, dir)
	if err != nil || image == nil {
		return nil, err
	}
	var records []metadata.Record
	for _, f := range supportedFeatures() {
		// A feature that was left out has level 0, but for the version of the metadata.
		level, ok := image.Features[f.name]
		if ok || f.name != featureMetadata {
			records = append(records, &metadata.FeatureRecord{Name: f.name, Level: min(level, f.max)})
		}
	}
	for _, c := range image.ScramCredentials() {
		mechanism, ok := scramMechanisms()[c.Mechanism]
		if !ok {
			return nil, fmt.Errorf("%s: user %s has a credential of mechanism %d, which is not known", filepath.Join(dir, "bootstrap.checkpoint"), c.Name, c.Mechanism)
		}
		records = append(records, scramRecord(c.Name, sasl.Credential{
			Mechanism: mechanism, Salt: c.Salt, Iterations: int(c.Iterations), StoredKey: c.StoredKey, ServerKey: c.ServerKey,
		}))
	}
	return records, nil
}
