package broker

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// UpdateFeatures: v0-2
//
// Behaviour:
// * All features of a request are set, or none: the first that is refused names
//   itself in the error of the whole request.
// * Up to version 1 each feature that was set is named in the answer, with the
//   message "NONE", as Kafka writes it.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-584: the API
// * KIP-778: kinds of downgrade, validate only (v1)
// * KIP-1022: one error for all (v2)

// Kinds of change of a feature's level (UpdateFeaturesRequest.UpgradeType).
const (
	featureUpgrade         = 1
	featureSafeDowngrade   = 2
	featureUnsafeDowngrade = 3
)

// errOnlyValidated ends an update that was only to be looked at.
var errOnlyValidated = errors.New("validated")

func (n *Node) updateFeatures(r *wire.Request, req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	resp := newResponse[*kmsg.UpdateFeaturesResponse](req)
	resp.Results = []kmsg.UpdateFeaturesResponseResult{}
	if err := n.authorizeCluster(r, acl.Alter); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		records, err := n.featureRecords(image, req)
		if err == nil && req.ValidateOnly {
			err = errOnlyValidated
		}
		return records, err
	})
	if err != nil && !errors.Is(err, errOnlyValidated) {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	for _, u := range req.FeatureUpdates {
		result := kmsg.NewUpdateFeaturesResponseResult()
		result.Feature, result.ErrorMessage = u.Feature, new("NONE")
		resp.Results = append(resp.Results, result)
	}
	return resp
}

func (n *Node) featureRecords(image *metadata.Image, req *kmsg.UpdateFeaturesRequest) ([]metadata.Record, error) {
	var records []metadata.Record
	for _, u := range req.FeatureUpdates {
		kind := u.UpgradeType
		if req.Version == 0 {
			if kind = featureUpgrade; u.AllowDowngrade {
				kind = featureSafeDowngrade
			}
		}
		level, _ := image.FeatureLevel(u.Feature)
		reason := n.featureRefusal(u.Feature, level, u.MaxVersionLevel, kind)
		if _, known := findFeature(u.Feature); !known && req.Version == 0 && u.MaxVersionLevel == 0 {
			reason = "Feature " + u.Feature + " not found." // level 0 is a removal in this version
		}
		if reason != "" {
			return nil, refuse(kerr.InvalidUpdateVersion, fmt.Sprintf(
				"The update failed for all features since the following feature had an error: Invalid update version %d for feature %s. %s",
				u.MaxVersionLevel, u.Feature, reason))
		}
		if level != u.MaxVersionLevel {
			records = append(records, &metadata.FeatureRecord{Name: u.Feature, Level: u.MaxVersionLevel})
		}
	}
	return records, nil
}

// featureRefusal returns Kafka's reason for which a level is not taken, empty if it is.
func (n *Node) featureRefusal(name string, from, to int16, kind int8) string {
	if kind < featureUpgrade || kind > featureUnsafeDowngrade {
		return "The controller does not support the given upgrade type."
	}
	if to < 0 {
		return "A feature version cannot be less than 0."
	}
	f, ok := findFeature(name)
	switch {
	case !ok:
		return fmt.Sprintf("Local controller %d does not support this feature.", n.cfg.NodeID)
	case to > f.max || to < f.min:
		return fmt.Sprintf("Local controller %d only supports versions %d-%d", n.cfg.NodeID, f.min, f.max)
	case to < from && kind == featureUpgrade:
		return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case to > from && kind != featureUpgrade:
		return "Can't downgrade to a newer version."
	case to < from && name == featureMetadata:
		return "Unsafe metadata downgrade is not supported in this version."
	}
	return ""
}
