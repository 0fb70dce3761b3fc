package broker

import (
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// IncrementalAlterConfigs: v0-1
//
// Behaviour:
// * Topics, this broker, and all brokers (empty name). Only dynamic broker configs
//   can be set.
// * Append and subtract work on lists, starting from the value in effect.
// * Unknown names and values out of range are INVALID_CONFIG; so is another
//   value than the only one that this broker supports.
// * A resource that occurs twice fails twice, with INVALID_REQUEST.
// * For who may alter the configs of the topic or group, of the cluster for a broker.
//
// KIPs:
// * KIP-339: the API

func (n *Node) incrementalAlterConfigs(r *wire.Request, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := newResponse[*kmsg.IncrementalAlterConfigsResponse](req)
	resp.Resources = make([]kmsg.IncrementalAlterConfigsResponseResource, 0, len(req.Resources))
	type resource struct {
		kind kmsg.ConfigResourceType
		name string
	}
	count := make(map[resource]int, len(req.Resources))
	for _, rr := range req.Resources {
		count[resource{rr.ResourceType, rr.ResourceName}]++
	}
	for _, rr := range req.Resources {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		err := error(refuse(kerr.InvalidRequest, "Each resource must appear at most once."))
		if count[resource{rr.ResourceType, rr.ResourceName}] == 1 {
			if err = n.authorizeConfigs(r, acl.AlterConfigs, rr.ResourceType, rr.ResourceName); err == nil {
				err = n.alterResource(rr.ResourceType, rr.ResourceName, n.incrementConfigs(rr), req.ValidateOnly)
			}
		}
		out.ErrorCode, out.ErrorMessage = codeOf(err), messageOf(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (n *Node) incrementConfigs(rr kmsg.IncrementalAlterConfigsRequestResource) configChange {
	return func(image *metadata.Image, current map[string]string) (map[string]string, error) {
		next := maps.Clone(current)
		if next == nil {
			next = make(map[string]string)
		}
		seen := make(map[string]bool, len(rr.Configs))
		for _, c := range rr.Configs {
			if seen[c.Name] {
				return nil, refuse(kerr.InvalidRequest, "Error due to duplicate config keys")
			}
			seen[c.Name] = true
			if c.Op == kmsg.IncrementalAlterConfigOpDelete {
				delete(next, c.Name)
				continue
			}
			if c.Value == nil {
				return nil, refuse(kerr.InvalidRequest, "Null value not supported for : "+c.Name)
			}
			value, err := n.incrementConfig(image, rr, c)
			if err != nil {
				return nil, err
			}
			next[c.Name] = value
		}
		return next, nil
	}
}

// incrementConfig returns what a config is set to by one operation.
func (n *Node) incrementConfig(image *metadata.Image, rr kmsg.IncrementalAlterConfigsRequestResource, c kmsg.IncrementalAlterConfigsRequestResourceConfig) (string, error) {
	if c.Op == kmsg.IncrementalAlterConfigOpSet {
		return *c.Value, nil
	}
	if c.Op != kmsg.IncrementalAlterConfigOpAppend && c.Op != kmsg.IncrementalAlterConfigOpSubtract {
		return "", refuse(kerr.InvalidRequest, fmt.Sprintf("Unknown operation %d for config %s", c.Op, c.Name))
	}
	defs := n.configs.topic
	switch rr.ResourceType {
	case kmsg.ConfigResourceTypeBroker:
		defs = n.configs.broker
	case kmsg.ConfigResourceTypeGroupConfig:
		defs = n.configs.group // none of them is a list
	case kmsg.ConfigResourceTypeUnknown, kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics:
	}
	d := findConfig(defs, c.Name)
	if d == nil {
		return "", refuse(kerr.InvalidConfig, "Unknown config name: "+c.Name)
	}
	if d.kind != kmsg.ConfigTypeList {
		return "", refuse(kerr.InvalidConfig, fmt.Sprintf("Can't %s to key %s because its type is not LIST.", c.Op, c.Name))
	}
	var value string
	if rr.ResourceType == kmsg.ConfigResourceTypeBroker {
		value = n.brokerValue(image, d)
	} else {
		value = n.topicValue(image, image.Topic(rr.ResourceName), c.Name)
	}
	return listChange(value, *c.Value, c.Op == kmsg.IncrementalAlterConfigOpAppend), nil
}
