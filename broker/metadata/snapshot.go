package metadata

import (
	"fmt"
	"slices"
)

// snapshotRecord is a whole image: the only record of a snapshot.
type snapshotRecord struct {
	// Index of the image; the snapshot may end with a later entry that holds no
	// records. In a directory of format 1 it is the index of the snapshot.
	Index          int64             `json:"index,omitempty"`
	ClusterID      string            `json:"cluster_id"`
	NextProducerID int64             `json:"next_producer_id"`
	Topics         []*Topic          `json:"topics"`
	Brokers        []*Broker         `json:"brokers"`
	Configs        []resourceConfigs `json:"configs"`
	Features       map[string]int16  `json:"features,omitempty"`
	ACLs           []ACLRecord       `json:"acls,omitempty"`
	Quotas         []QuotaRecord     `json:"quotas,omitempty"`

	ScramCredentials []*ScramCredential `json:"scram_credentials,omitempty"`
}

type resourceConfigs struct {
	Kind   string            `json:"kind"`
	Name   string            `json:"name"`
	Values map[string]string `json:"values"`
}

func (*snapshotRecord) recordType() string { return "snapshot" }

// snapshot returns the image as a record.
func (i *Image) snapshot() *snapshotRecord {
	r := &snapshotRecord{Index: i.Index, ClusterID: i.ClusterID, NextProducerID: i.NextProducerID, Brokers: i.Brokers(), Features: i.features}
	for _, name := range i.names {
		r.Topics = append(r.Topics, i.topics[name])
	}
	for key, values := range i.configs {
		r.Configs = append(r.Configs, resourceConfigs{Kind: key.kind, Name: key.name, Values: values})
	}
	slices.SortFunc(r.Configs, func(a, b resourceConfigs) int {
		return slices.Compare([]string{a.Kind, a.Name}, []string{b.Kind, b.Name})
	})
	r.ACLs, r.Quotas = i.acls.records(), i.quotaRecords()
	r.ScramCredentials = i.ScramCredentials()
	return r
}

func (r *snapshotRecord) apply(i *Image) error {
	if len(i.topics) > 0 || i.ClusterID != "" {
		return fmt.Errorf("%w: a snapshot over an image that is not empty", errRecord)
	}
	i.ClusterID, i.NextProducerID = r.ClusterID, r.NextProducerID
	for _, t := range r.Topics {
		if t == nil || i.topics[t.Name] != nil || i.ids[t.ID] != nil {
			return fmt.Errorf("%w: snapshot with a topic twice", errRecord)
		}
		i.topics[t.Name], i.ids[t.ID] = t, t
		i.names = append(i.names, t.Name)
	}
	slices.Sort(i.names)
	for _, b := range r.Brokers {
		if b == nil {
			return fmt.Errorf("%w: snapshot without a broker's content", errRecord)
		}
		i.brokers[b.NodeID] = b
	}
	i.features = r.Features
	for _, c := range r.ScramCredentials {
		if c == nil {
			return fmt.Errorf("%w: snapshot without a credential's content", errRecord)
		}
		i.scram[scramKey{c.User, c.Mechanism}] = c
	}
	for _, c := range r.Configs {
		i.configs[resource{c.Kind, c.Name}] = c.Values
	}
	for _, q := range r.Quotas {
		if err := q.apply(i); err != nil {
			return err
		}
	}
	for _, a := range r.ACLs {
		if err := a.apply(i); err != nil {
			return err
		}
	}
	return nil
}
