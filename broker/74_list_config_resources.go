package broker

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// ListConfigResources: v0-1
//
// Behaviour:
// * Version 0 lists client metrics, of which there are none.
// * No types are all types. Groups are listed if they have configs of their own.
// * A type that has no list is UNSUPPORTED_VERSION.
// * For who may describe the cluster's configs.
//
// KIPs:
// * KIP-714: the API, as ListClientMetricsResources
// * KIP-1142: types (v1)

func (n *Node) listConfigResources(r *wire.Request, req *kmsg.ListConfigResourcesRequest) *kmsg.ListConfigResourcesResponse {
	resp := newResponse[*kmsg.ListConfigResourcesResponse](req)
	resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
	if err := n.authorizeCluster(r, acl.DescribeConfigs); err != nil {
		resp.ErrorCode = codeOf(err)
		return resp
	}
	if req.Version == 0 {
		return resp
	}
	const clientMetrics, group = 16, 32 // kmsg has no name for the latter's wire type
	asked := []int8{group, clientMetrics, int8(kmsg.ConfigResourceTypeBrokerLogger), int8(kmsg.ConfigResourceTypeBroker), int8(kmsg.ConfigResourceTypeTopic)}
	for _, t := range req.ResourceTypes {
		if !slices.Contains(asked, t) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			return resp
		}
	}
	if len(req.ResourceTypes) > 0 {
		asked = slices.DeleteFunc(asked, func(t int8) bool { return !slices.Contains(req.ResourceTypes, t) })
	}
	image := n.meta.Image()
	for _, t := range asked {
		var names []string
		switch t {
		case group:
			names = image.ConfiguredResources(metadata.ResourceGroup)
		case int8(kmsg.ConfigResourceTypeBrokerLogger), int8(kmsg.ConfigResourceTypeBroker):
			for _, b := range image.Brokers() {
				names = append(names, strconv.Itoa(int(b.NodeID)))
			}
		case int8(kmsg.ConfigResourceTypeTopic):
			names = image.TopicNames()
		}
		for _, name := range names {
			resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: name, Type: t})
		}
	}
	return resp
}
