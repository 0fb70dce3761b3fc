package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// DescribeConfigs: v0-4
//
// Behaviour:
// * Topics and this broker; the empty broker name stands for what was set for
//   all brokers. Other kinds of resources are INVALID_REQUEST.
// * No names, or null, are all configs.
// * Configs that cannot be changed are read-only.
//
// KIPs:
// * KIP-133: the API
// * KIP-226: sources and synonyms (v1)
// * KIP-569: type and documentation (v3)

func (n *Node) describeConfigs(_ *wire.Request, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	resp := newResponse[*kmsg.DescribeConfigsResponse](req)
	resp.Resources = make([]kmsg.DescribeConfigsResponseResource, 0, len(req.Resources))
	image := n.meta.Image()
	for _, rr := range req.Resources {
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = rr.ResourceType, rr.ResourceName
		var err error
		r.Configs, err = n.describeResource(image, rr)
		r.ErrorCode, r.ErrorMessage = codeOf(err), detailOf(err)
		if r.ErrorMessage == nil {
			r.ErrorMessage = new("") // as Kafka does here
		}
		for i := range r.Configs {
			if !req.IncludeSynonyms {
				r.Configs[i].ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
			}
			if !req.IncludeDocumentation {
				r.Configs[i].Documentation = nil
			}
		}
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}
