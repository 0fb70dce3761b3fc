package metadata

import (
	"fmt"
	"maps"
)

// FeatureRecord sets the level that the cluster has agreed on for a feature
// (KIP-584); level 0 is none.
type FeatureRecord struct {
	Name  string `json:"name"`
	Level int16  `json:"level"`
}

func (*FeatureRecord) recordType() string { return "feature" }

func (r *FeatureRecord) apply(i *Image) error {
	if r.Name == "" || r.Level < 0 {
		return fmt.Errorf("%w: level %d of feature %q", errRecord, r.Level, r.Name)
	}
	levels := maps.Clone(i.features)
	if levels == nil {
		levels = make(map[string]int16)
	}
	levels[r.Name] = r.Level
	i.features = levels
	return nil
}

// FeatureLevel returns the level of a feature, and whether there ever was one.
func (i *Image) FeatureLevel(name string) (int16, bool) {
	level, ok := i.features[name]
	return level, ok
}
