package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeConfigs: v0-4
//
// Behaviour:
// * Topics and this broker; the empty broker name stands for what was set for
//   all brokers. Other kinds of resources are INVALID_REQUEST.
// * No names, or null, are all configs.
// * Configs that cannot be changed are read-only.
// * For who may describe the configs of the topic or group, of the cluster for a broker.
//
// KIPs:
// * KIP-133: the API
// * KIP-226: sources and synonyms (v1)
// * KIP-569: type and documentation (v3)

func (n *Node) describeConfigs(r *wire.Request, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := newResponse[*kmsg.DescribeConfigsResponse](req)
	resp.Resources = make([]kmsg.DescribeConfigsResponseResource, 0, len(req.Resources))
	image := n.meta.Image()
	for _, rr := range req.Resources {
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		out.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		err := n.authorizeConfigs(r, acl.DescribeConfigs, rr.ResourceType, rr.ResourceName)
		if err == nil {
			out.Configs, err = n.describeResource(image, rr)
		}
		out.ErrorCode, out.ErrorMessage = codeOf(err), detailOf(err)
		if out.ErrorMessage == nil {
			out.ErrorMessage = new("") // as Kafka does here
		}
		for i := range out.Configs {
			if !req.IncludeSynonyms {
				out.Configs[i].ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
			}
			if !req.IncludeDocumentation {
				out.Configs[i].Documentation = nil
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}
