package broker

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
)

// Features that a cluster can agree on (KIP-584), with Apache Kafka's names.
const (
	// featureMetadata says which Kafka's behaviour this is: 27 stands for 4.1.
	featureMetadata = "metadata.version"
	// featureGroup at level 1 turns the consumer group protocol of KIP-848 on.
	featureGroup = "group.version"
	// featureTransaction at level 2 turns transactions of KIP-890 on.
	featureTransaction = "transaction.version"
)

// feature is one row of the table of features. A cluster begins with Max.
type feature struct {
	name     string
	min, max int16
}

func supportedFeatures() []feature {
	return []feature{{featureGroup, 0, 1}, {featureMetadata, 7, 27}, {featureTransaction, 0, 2}}
}

func findFeature(name string) (feature, bool) {
	all := supportedFeatures()
	at := slices.IndexFunc(all, func(f feature) bool { return f.name == name })
	if at < 0 {
		return feature{}, false
	}
	return all[at], true
}

// finalizeFeatures gives the features that the cluster has no level of their largest.
func (n *Node) finalizeFeatures() error {
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		var records []metadata.Record
		for _, f := range supportedFeatures() {
			if _, ok := image.FeatureLevel(f.name); !ok {
				records = append(records, &metadata.FeatureRecord{Name: f.name, Level: f.max})
			}
		}
		return records, nil
	})
	return err
}

// transactionVersion is the level of transaction.version; a cluster that lowered it
// to 0 has none.
func (n *Node) transactionVersion() int16 {
	level, _ := n.meta.Image().FeatureLevel(featureTransaction)
	return level
}

// describeFeatures fills in the features of an ApiVersions response. Version 3
// has none that begin at level 0: older Java clients refuse to read those.
func (n *Node) describeFeatures(resp *kmsg.ApiVersionsResponse) {
	image := n.meta.Image()
	resp.FinalizedFeaturesEpoch = image.Index
	resp.SupportedFeatures = []kmsg.ApiVersionsResponseSupportedFeature{}
	resp.FinalizedFeatures = []kmsg.ApiVersionsResponseFinalizedFeature{}
	for _, f := range supportedFeatures() {
		if f.min > 0 || resp.Version >= 4 {
			out := kmsg.NewApiVersionsResponseSupportedFeature()
			out.Name, out.MinVersion, out.MaxVersion = f.name, f.min, f.max
			resp.SupportedFeatures = append(resp.SupportedFeatures, out)
		}
		if level, ok := image.FeatureLevel(f.name); ok && level > 0 {
			out := kmsg.NewApiVersionsResponseFinalizedFeature()
			out.Name, out.MinVersionLevel, out.MaxVersionLevel = f.name, level, level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, out)
		}
	}
	slices.SortFunc(resp.FinalizedFeatures, func(a, b kmsg.ApiVersionsResponseFinalizedFeature) int { return cmp.Compare(a.Name, b.Name) })
}
