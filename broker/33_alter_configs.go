package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// AlterConfigs: v0-2
//
// Behaviour:
// * What is not named goes back to its default: clients have since turned to
//   IncrementalAlterConfigs.
// * For who may alter the configs of the topic or group, of the cluster for a broker.
//
// KIPs:
// * KIP-133: the API

func (n *Node) alterConfigs(r *wire.Request, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := newResponse[*kmsg.AlterConfigsResponse](req)
	resp.Resources = make([]kmsg.AlterConfigsResponseResource, 0, len(req.Resources))
	for _, rr := range req.Resources {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		err := n.authorizeConfigs(r, acl.AlterConfigs, rr.ResourceType, rr.ResourceName)
		if err == nil {
			err = n.alterResource(rr.ResourceType, rr.ResourceName, replaceConfigs(rr.Configs), req.ValidateOnly)
		}
		out.ErrorCode, out.ErrorMessage = codeOf(err), messageOf(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func replaceConfigs(configs []kmsg.AlterConfigsRequestResourceConfig) configChange {
	return func(*metadata.Image, map[string]string) (map[string]string, error) {
		next := make(map[string]string, len(configs))
		for _, c := range configs {
			if c.Value == nil {
				return nil, refuse(kerr.InvalidRequest, "Null value not supported for : "+c.Name)
			}
			next[c.Name] = *c.Value
		}
		return next, nil
	}
}
