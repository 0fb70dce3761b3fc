package broker

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/metadata"
)

// describeTopicConfig returns a topic's config with where its value comes from.
func (n *Node) describeTopicConfig(image *metadata.Image, t *metadata.Topic, d *configDef) kmsg.DescribeConfigsResponseResourceConfig {
	var values []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym
	if v, ok := t.Configs[d.name]; ok {
		values = append(values, synonym(d.name, v, kmsg.ConfigSourceDynamicTopicConfig))
	}
	if b := findConfig(n.configs.broker, d.broker); b != nil {
		values = append(values, n.brokerValues(image, b)...)
	} else if !d.hidden {
		values = append(values, synonym(d.name, d.def, kmsg.ConfigSourceDefaultConfig))
	}
	return describeConfig(d, values, d.effect == effectFixed)
}

// isShown says whether a topic is described with the config.
func (d *configDef) isShown(t *metadata.Topic) bool {
	_, set := t.Configs[d.name]
	return set || !d.hidden
}

// brokerValues returns the values that a broker config has had a chance to take,
// the one in effect first.
func (n *Node) brokerValues(image *metadata.Image, d *configDef) []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	var values []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym
	if v, ok := image.Configs(metadata.ResourceBroker, n.brokerResource())[d.name]; ok {
		values = append(values, synonym(d.name, v, kmsg.ConfigSourceDynamicBrokerConfig))
	}
	if v, ok := image.Configs(metadata.ResourceBroker, "")[d.name]; ok {
		values = append(values, synonym(d.name, v, kmsg.ConfigSourceDynamicDefaultBrokerConfig))
	}
	if v := d.startValue(n.cfg); v != d.def {
		values = append(values, synonym(d.name, v, kmsg.ConfigSourceStaticBrokerConfig))
	}
	if d.hours != "" {
		return append(values, synonym(d.hours, hoursOf(d.def), kmsg.ConfigSourceDefaultConfig))
	}
	if d.unset {
		return values
	}
	return append(values, synonym(d.name, d.def, kmsg.ConfigSourceDefaultConfig))
}

// hoursOf converts the milliseconds of a default to hours.
func hoursOf(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		panic("broker: default of a time is no number: " + ms)
	}
	return strconv.FormatInt(n/(3600*1000), 10)
}

func synonym(name, value string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, &value, source
	return s
}

// readOnly says whether a broker config has a value that no client can change.
func (d *configDef) readOnly() bool { return !d.dynamic || d.effect == effectFixed }

func describeConfig(d *configDef, values []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym, readOnly bool) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Source = d.name, kmsg.ConfigSourceDefaultConfig
	if len(values) > 0 {
		c.Value, c.Source = values[0].Value, values[0].Source
		if c.Source == kmsg.ConfigSourceDefaultConfig {
			c.Value = &d.def // also where the synonym counts in hours
		}
	}
	c.ReadOnly, c.ConfigType, c.Documentation = readOnly, d.kind, &d.doc
	c.IsDefault = c.Source == kmsg.ConfigSourceDefaultConfig
	c.ConfigSynonyms = values
	return c
}

// describeResource returns the configs of a resource that a request asks for.
func (n *Node) describeResource(image *metadata.Image, rr kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	out := []kmsg.DescribeConfigsResponseResourceConfig{}
	wanted := func(name string) bool { return len(rr.ConfigNames) == 0 || slices.Contains(rr.ConfigNames, name) }
	switch rr.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := checkTopicName(rr.ResourceName); err != nil {
			return out, err
		}
		t := image.Topic(rr.ResourceName)
		if t == nil {
			return out, kerr.UnknownTopicOrPartition
		}
		for i := range n.configs.topic {
			if d := &n.configs.topic[i]; wanted(d.name) && d.isShown(t) {
				out = append(out, n.describeTopicConfig(image, t, d))
			}
		}
		return out, nil
	case kmsg.ConfigResourceTypeBroker:
		return n.describeBroker(image, rr.ResourceName, wanted)
	case kmsg.ConfigResourceTypeGroupConfig:
		return n.describeGroup(image, rr.ResourceName, wanted)
	}
	return out, refuse(kerr.InvalidRequest, messageMalformed)
}

// describeBroker describes this broker, or for an empty name the configs that
// were set for all brokers.
func (n *Node) describeBroker(image *metadata.Image, name string, wanted func(string) bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	out := []kmsg.DescribeConfigsResponseResourceConfig{}
	if name != "" && name != n.brokerResource() {
		return out, refuse(kerr.InvalidRequest, fmt.Sprintf("Unexpected broker id, expected %s or empty string, but received %s", n.brokerResource(), name))
	}
	for i := range n.configs.broker {
		d := &n.configs.broker[i]
		if !wanted(d.name) {
			continue
		}
		if name != "" {
			out = append(out, describeConfig(d, n.brokerValues(image, d), d.readOnly()))
		} else if v, ok := image.Configs(metadata.ResourceBroker, "")[d.name]; ok {
			values := []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{synonym(d.name, v, kmsg.ConfigSourceDynamicDefaultBrokerConfig)}
			out = append(out, describeConfig(d, values, d.readOnly()))
		}
	}
	return out, nil
}
